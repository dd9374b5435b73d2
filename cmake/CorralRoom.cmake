# Release builds compile several files of a target as one (CMAKE_UNITY_BUILD in CMakePresets.json),
# which halves the time. A file whose private names collide with a neighbour's is compiled alone:
# corral_compiled_alone(FILES…), in the folder whose CMakeLists.txt makes the target.
function(corral_compiled_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# corral_room(DIR LINK targets…)   one static library from every .cpp below DIR, named corral::DIR
#                                  with "/" as "_"; app/main.cpp is the program and not of the room.
function(corral_room dir)
  cmake_parse_arguments(ROOM "" "" "LINK" ${ARGN})
  string(REPLACE "/" "_" name "${dir}")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dir}/*.cpp")
  list(REMOVE_ITEM sources "${CMAKE_SOURCE_DIR}/app/main.cpp")
  if(NOT sources)
    add_library(corral_${name} INTERFACE)
    add_library(corral::${name} ALIAS corral_${name})
    target_link_libraries(corral_${name} INTERFACE ${ROOM_LINK})
    return()
  endif()
  add_library(corral_${name} STATIC ${sources})
  add_library(corral::${name} ALIAS corral_${name})
  target_link_libraries(corral_${name} PUBLIC ${ROOM_LINK} PRIVATE corral::flags)
  target_compile_definitions(corral_${name} PRIVATE CORRAL_VERSION="${PROJECT_VERSION}")
endfunction()

# Each test must say its tier, so that `ctest -L unit` means something: bare add_test() is an error.
function(corral_test name)
  cmake_parse_arguments(T "SERIAL" "TIER;TIMEOUT" "COMMAND;ENVIRONMENT" ${ARGN})
  if(NOT T_TIER MATCHES "^(tidy|unit|sim|integration|e2e|fuzz)$")
    message(FATAL_ERROR "corral_test(${name}): TIER is tidy, unit, sim, integration, e2e or fuzz")
  endif()
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  _add_test(NAME "${T_TIER}.${name}" COMMAND ${T_COMMAND})
  set_tests_properties("${T_TIER}.${name}" PROPERTIES
    LABELS "${T_TIER}" TIMEOUT "${T_TIMEOUT}" SKIP_RETURN_CODE 77 ENVIRONMENT "${T_ENVIRONMENT}")
  if(T_SERIAL)
    set_tests_properties("${T_TIER}.${name}" PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()
macro(add_test)
  if("${ARGV0}" STREQUAL "NAME" AND "${ARGV1}" MATCHES "^(tidy|unit|sim|integration|e2e|fuzz)[.]")
    _add_test(${ARGV})
  else()
    message(FATAL_ERROR "use corral_test(NAME TIER …) instead of add_test()")
  endif()
endmacro()

# corral_unit_test(ROOM SOURCES… LINK targets…)   one doctest program of a room's unit tests.
function(corral_unit_test name)
  cmake_parse_arguments(T "" "TIER" "SOURCES;LINK" ${ARGN})
  if(NOT T_TIER)
    set(T_TIER unit)
  endif()
  add_executable(${T_TIER}_${name} ${T_SOURCES})
  target_link_libraries(${T_TIER}_${name} PRIVATE corral::flags corral::doctest_main ${T_LINK})
  corral_test(${name} TIER ${T_TIER} COMMAND ${T_TIER}_${name})
  # Where the compiler ran: ccache with a base_dir makes __FILE__ relative to it.
  set_tests_properties("${T_TIER}.${name}" PROPERTIES WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
endfunction()
