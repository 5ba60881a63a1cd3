// report.h - report.daily.
#pragma once

#include <functional>

#include "controlplane/api/method.h"
#include "controlplane/report/book.h"

namespace mire::methods {

// `book` must outlive them.
[[nodiscard]] api::Methods report_methods(report::Book& book, std::function<report::WallSeconds()> now);

}  // namespace mire::methods
