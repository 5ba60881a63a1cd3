// remote.h - JSON-RPC over HTTPS: POST /rpc with a bearer token. Off unless it is configured.
#pragma once

#include "controlplane/api/http_server.h"
#include "controlplane/api/method.h"
#include "controlplane/api/tokens.h"

namespace mire::api {

// `methods` must outlive it. What takes a session (editing a configuration, following events) is refused by the methods
// themselves: a request has none.
[[nodiscard]] HttpHandler remote(const Methods& methods, Tokens);

}  // namespace mire::api
