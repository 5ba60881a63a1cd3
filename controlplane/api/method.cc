#include "controlplane/api/method.h"

namespace mire::api {
namespace {

Method at_once(Right right, Prompt prompt) {
  return {right,
          [prompt = std::move(prompt)](boost::json::value params, Caller caller) -> boost::asio::awaitable<Answer> {
            co_return prompt(params, caller);
          }};
}

}  // namespace

Method reads(Prompt prompt) { return at_once(Right::read, std::move(prompt)); }
Method changes(Prompt prompt) { return at_once(Right::change, std::move(prompt)); }

}  // namespace mire::api
