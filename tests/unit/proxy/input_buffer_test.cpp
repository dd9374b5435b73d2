// The buffer of a connection loses no byte, grows only while reads fill it, and is given back.
#include "proxy/http/input_buffer.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>

using corral::http::InputBuffer;

TEST_CASE("what goes in comes out in order whatever the sizes of the steps") {
    std::mt19937 random(7);
    InputBuffer buffer(1024);
    std::string written;
    std::string read;
    for (int step = 0; step < 20'000; ++step) {
        const auto room = buffer.prepare();
        const auto n = std::min<std::size_t>(room.size(), random() % 97);
        for (std::size_t i = 0; i < n; ++i) {
            room[i] = static_cast<char>(random());
        }
        written.append(room.data(), n);
        buffer.commit(n);
        const auto take = std::min<std::size_t>(buffer.data().size(), random() % 97);
        read.append(buffer.data().substr(0, take));
        buffer.consume(take);
    }
    read.append(buffer.data());
    CHECK(read == written);
}

TEST_CASE("it never holds more than its maximum and says when it is full") {
    InputBuffer buffer(10'000);
    std::size_t held = 0;
    while (!buffer.full()) {
        const auto room = buffer.prepare();
        REQUIRE(!room.empty());
        std::memset(room.data(), 'x', room.size());
        buffer.commit(room.size());
        held += room.size();
    }
    CHECK(held == 10'000);
    CHECK(buffer.prepare().empty());
}

TEST_CASE("a release keeps what is unread") {
    InputBuffer buffer;
    std::memcpy(buffer.prepare().data(), "abc", 3);
    buffer.commit(3);
    buffer.release();
    CHECK(buffer.data() == "abc");
    buffer.consume(3);
    buffer.release();
    CHECK(buffer.data().empty());
}
