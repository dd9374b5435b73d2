# How everything is compiled: the same for every target, so that all translation units agree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")  # -O3 costs build time and wins nothing here

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE}")
endif()
find_program(MOLD mold)

add_library(corral_flags INTERFACE)
add_library(corral::flags ALIAS corral_flags)
target_compile_options(corral_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Woverloaded-virtual
  -Wimplicit-fallthrough $<$<BOOL:${CORRAL_WERROR}>:-Werror>
  -fstack-protector-strong $<$<CONFIG:Debug>:-g1>)
target_compile_definitions(corral_flags INTERFACE _GLIBCXX_ASSERTIONS)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms: coroutine frames with their own operator delete; GCC PR 105651 (strings); and a
  # reference to what a function was given, taken for one to its temporaries.
  target_compile_options(corral_flags INTERFACE -Wno-mismatched-new-delete
    $<IF:$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>,-Wno-restrict,-Wno-dangling-reference>)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(corral_flags INTERFACE -Wno-subobject-linkage)  # takes a file for a header
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
  target_compile_options(corral_flags INTERFACE -fcf-protection)
endif()
target_include_directories(corral_flags INTERFACE "${CMAKE_SOURCE_DIR}")

if(CORRAL_SANITIZE)
  list(JOIN CORRAL_SANITIZE "," sanitizers)
  target_compile_options(corral_flags INTERFACE
    -fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  target_link_options(corral_flags INTERFACE -fsanitize=${sanitizers})
  if("thread" IN_LIST CORRAL_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(corral_flags INTERFACE -Wno-tsan)  # g++ 12: warns in every Asio unit
  endif()
else()
  # _FORTIFY_SOURCE needs optimisation and does not mix with the sanitizers.
  target_compile_options(corral_flags INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  # clang's libFuzzer runtime and mold 1.10 disagree; the plain link is fast enough elsewhere too.
  if(MOLD AND NOT CORRAL_FUZZ)
    target_link_options(corral_flags INTERFACE -fuse-ld=mold)
  endif()
endif()
set(CMAKE_LINK_DEPENDS_NO_SHARED ON)
include(CheckPIESupported)
check_pie_supported()
target_link_options(corral_flags INTERFACE -Wl,-z,relro,-z,now)
