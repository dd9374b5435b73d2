#pragma once
// Asking a model's server whether it is ready. Needs HTTP, so proxy/ implements it and app/ binds
// it.

#include "core/endpoint.hpp"
#include "core/time.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>

namespace corral {

class Prober {
public:
    virtual ~Prober() = default;
    /// True when `GET path` answers 200 within `timeout`; with an empty path, when a connection is
    /// accepted. Never throws, never logs; cancellable. Parameters by value: it is a coroutine.
    [[nodiscard]] virtual boost::asio::awaitable<bool> ready(Endpoint endpoint, std::string path,
                                                             Duration timeout) = 0;
};

}  // namespace corral
