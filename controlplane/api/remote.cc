#include "controlplane/api/remote.h"

#include "controlplane/api/json_rpc.h"

namespace mire::api {

HttpHandler remote(const Methods& methods, Tokens tokens) {
  return [&methods, tokens = std::move(tokens)](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    const std::optional<Rights> rights = tokens.owner_of(request.authorization);
    if (!rights) co_return HttpResponse{401, "text/plain; charset=utf-8", "a bearer token is needed\n"};
    if (request.target != "/rpc")
      co_return HttpResponse{404, "text/plain; charset=utf-8", "there is only POST /rpc here\n"};
    if (request.method != "POST") co_return HttpResponse{405, "text/plain; charset=utf-8", "POST, please\n"};
    Caller caller{0, rights->name, rights->may_change, {}};
    std::string out = co_await answer(std::move(request.body), methods, std::move(caller));
    if (out.empty()) co_return HttpResponse{204, "application/json", {}};
    co_return HttpResponse{200, "application/json", std::move(out)};
  };
}

}  // namespace mire::api
