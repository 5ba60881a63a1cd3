// Boost.JSON comes as headers (libboost1.81-dev holds no library): compiled here, once.
#include <boost/json/src.hpp>
