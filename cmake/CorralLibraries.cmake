# Every library that Corral uses, as one interface target a purpose. Rooms name purposes, not
# packages.
find_package(Threads REQUIRED)
find_package(Boost 1.81 CONFIG REQUIRED COMPONENTS filesystem json)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SYSTEMD IMPORTED_TARGET libsystemd)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
# Its CMake package wants civetweb and curl, which only its other parts use.
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)

find_package(OpenSSL 3.0)
if(NOT OpenSSL_FOUND)
  message(FATAL_ERROR "OpenSSL 3.0 or newer is missing, with its headers: install libssl-dev "
                      "(packaging/install-deps.sh run does so on Debian)")
endif()

if(NOT TARGET yaml-cpp::yaml-cpp)  # yaml-cpp 0.7 exports the bare name
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

function(corral_deps name)
  add_library(corral_deps_${name} INTERFACE)
  add_library(corral::deps::${name} ALIAS corral_deps_${name})
  target_link_libraries(corral_deps_${name} INTERFACE ${ARGN})
endfunction()

corral_deps(core Boost::headers yaml-cpp::yaml-cpp nlohmann_json::nlohmann_json fmt::fmt
            spdlog::spdlog PkgConfig::RE2)
corral_deps(json_push Boost::json)
corral_deps(metrics PkgConfig::PROMETHEUS)
corral_deps(cli CLI11::CLI11)
corral_deps(tls OpenSSL::SSL OpenSSL::Crypto)
if(SYSTEMD_FOUND)
  corral_deps(systemd PkgConfig::SYSTEMD)
  target_compile_definitions(corral_deps_systemd INTERFACE CORRAL_HAVE_SYSTEMD)
else()
  corral_deps(systemd)
endif()

# Asio and Beast are compiled once (their separate-compilation mode). The definitions live here
# and nowhere else: a unit that disagreed about them would break the one-definition rule.
add_library(corral_asio_impl STATIC cmake/asio_impl.cpp)
target_link_libraries(corral_asio_impl PRIVATE corral::flags PUBLIC Boost::headers Threads::Threads)
target_compile_definitions(corral_asio_impl PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  # Its recycling hands a freed large frame to a small one that lives long: 2 KiB a connection.
  BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
add_library(corral_beast_impl STATIC cmake/beast_impl.cpp)
target_link_libraries(corral_beast_impl PRIVATE corral::flags PUBLIC corral_asio_impl)
target_compile_definitions(corral_beast_impl PUBLIC BOOST_BEAST_SEPARATE_COMPILATION)
corral_deps(asio corral_asio_impl)
corral_deps(beast corral_asio_impl corral_beast_impl)

# Boost.Process v2: header-only before 1.86, a compiled component from then on.
if(Boost_VERSION VERSION_GREATER_EQUAL 1.86)
  find_package(Boost CONFIG REQUIRED COMPONENTS process)
  corral_deps(process Boost::process Boost::filesystem)
else()
  corral_deps(process Boost::filesystem)
endif()
