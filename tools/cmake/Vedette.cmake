# Compiler settings and the three functions that every folder's CMakeLists.txt is made of.
include_guard(GLOBAL)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fno-omit-frame-pointer")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)

find_program(CCACHE ccache)
if(CCACHE)
  # Paths relative to the source tree, so that every build folder and clone shares the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

# One instruction set for all units: mixing them changes Eigen's alignment and breaks the one-definition rule.
add_compile_options(-march=${VEDETTE_MARCH})
if(VEDETTE_SANITIZE)
  # The sanitizers' instrumentation makes g++ 12 see uninitialised values in the standard library's headers.
  add_compile_options(-fsanitize=${VEDETTE_SANITIZE} -fno-sanitize-recover=all -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=${VEDETTE_SANITIZE})
  if(VEDETTE_SANITIZE MATCHES undefined)
    # Checks before every member access cost a third of the compile time; what they find, AddressSanitizer or a trap does.
    add_compile_options(-fno-sanitize=vptr,null,object-size,pointer-overflow)
  endif()
  # For folders that mostly wait for others (add_compile_options): only numbers need the optimiser under a sanitizer.
  set(VEDETTE_UNHURRIED -O0)
  # For units that hold generated or foreign code alone (target_compile_options ... PRIVATE): not worth the minutes.
  if(NOT VEDETTE_SANITIZE MATCHES thread)
    set(VEDETTE_NOT_OURS -fno-sanitize=all)
  endif()
endif()

if(VEDETTE_UNITY STREQUAL "all")
  set(CMAKE_UNITY_BUILD ON)
endif()

find_package(Threads REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(fmt CONFIG REQUIRED)
find_package(Eigen3 3.4 CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
if(VEDETTE_PLATFORM)
  find_package(Protobuf REQUIRED)  # module mode, before gRPC
  find_package(gRPC CONFIG REQUIRED)
  find_package(PostgreSQL REQUIRED)
  find_package(prometheus-cpp CONFIG REQUIRED)
  find_package(CURL REQUIRED)
  pkg_check_modules(nats REQUIRED IMPORTED_TARGET libnats)  # Debian's cnats-config.cmake refers to a file it does not ship
  pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)
endif()

add_library(vedette_warnings INTERFACE)
set(together $<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>)  # every file is an included one then, and sees the others' names
target_compile_options(vedette_warnings INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers
  $<${together}:-Wno-subobject-linkage> $<$<NOT:${together}>:-Wshadow>)

# vedette_descriptors(FOLDER TYPE PREFIX): one file, one descriptor. The files of FOLDER, each of which defines PREFIXNAME of
# the type, into the variable FOLDER, with the list of them all that all_FOLDER.cc.in becomes.
function(vedette_descriptors folder type prefix)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc)
  list(SORT files)
  set_source_files_properties(${files} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)  # each has its own kParams and the like
  set(DECLARATIONS "")
  set(REFERENCES "")
  foreach(file IN LISTS files)
    cmake_path(GET file STEM name)
    string(APPEND DECLARATIONS "extern const ${type} ${prefix}${name};\n")
    string(APPEND REFERENCES "&${prefix}${name}, ")
  endforeach()
  configure_file(all_${folder}.cc.in ${CMAKE_CURRENT_BINARY_DIR}/all_${folder}.cc @ONLY)
  set(${folder} ${files} ${CMAKE_CURRENT_BINARY_DIR}/all_${folder}.cc PARENT_SCOPE)
endfunction()

# vedette_library(NAME SOURCES a.cc b.cc DEPS base absl::strings): target vedette_NAME, included as "NAME/header.h".
function(vedette_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(vedette_${name} STATIC ${ARG_SOURCES})
    target_include_directories(vedette_${name} PUBLIC ${PROJECT_SOURCE_DIR}/libs)
    target_link_libraries(vedette_${name} PUBLIC ${ARG_DEPS} PRIVATE $<BUILD_INTERFACE:vedette_warnings>)
  else()
    add_library(vedette_${name} INTERFACE)
    target_include_directories(vedette_${name} INTERFACE ${PROJECT_SOURCE_DIR}/libs)
    target_link_libraries(vedette_${name} INTERFACE ${ARG_DEPS})
  endif()
endfunction()

# vedette_service(NAME DEPS ...): services/NAME -> library vedette_NAME_service (all but main.cc) and program vedette-NAME.
# Migrations in migrations/*.sql are compiled in (see EmbedSql.cmake).
function(vedette_service name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  string(REPLACE "-" "_" ident ${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  file(GLOB migrations CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/migrations/*.sql)
  if(migrations)
    set(embedded ${CMAKE_CURRENT_BINARY_DIR}/migrations.cc)
    add_custom_command(OUTPUT ${embedded}
      COMMAND ${CMAKE_COMMAND} -DOUT=${embedded} -DNAMESPACE=vedette::${ident} "-DFILES=${migrations}"
              -P ${PROJECT_SOURCE_DIR}/tools/cmake/EmbedSql.cmake
      DEPENDS ${migrations} ${PROJECT_SOURCE_DIR}/tools/cmake/EmbedSql.cmake VERBATIM)
    list(APPEND sources ${embedded})
  endif()
  add_library(vedette_${ident}_service STATIC ${sources})
  target_include_directories(vedette_${ident}_service PUBLIC ${PROJECT_SOURCE_DIR}/libs ${PROJECT_SOURCE_DIR})
  target_link_libraries(vedette_${ident}_service PUBLIC ${ARG_DEPS} PRIVATE vedette_warnings)
  if(VEDETTE_UNITY STREQUAL "services")
    set_target_properties(vedette_${ident}_service PROPERTIES UNITY_BUILD ON)
  endif()
  add_executable(vedette-${name} ${CMAKE_CURRENT_SOURCE_DIR}/main.cc)
  target_link_libraries(vedette-${name} PRIVATE vedette_${ident}_service vedette_warnings)
endfunction()

# vedette_with_threads(SOURCES): leaves those that start threads, which are all that ThreadSanitizer has anything to see in.
function(vedette_with_threads list)
  set(kept "")
  foreach(source IN LISTS ${list})
    file(STRINGS ${source} threads REGEX "ThreadPool|std::j?thread" LIMIT_COUNT 1)
    if(threads)
      list(APPEND kept ${source})
    endif()
  endforeach()
  set(${list} ${kept} PARENT_SCOPE)
endfunction()

# vedette_test(NAME DEPS vedette_base LABELS unit): the folder's files, or SOURCES, and those of ALSO as one Catch2 program; one
# ctest entry per test case, with ONE_ENTRY one for the whole program, for tests that share a server started once (tests/support).
function(vedette_test name)
  cmake_parse_arguments(ARG "ONE_ENTRY" "TIMEOUT" "SOURCES;ALSO;DEPS;LABELS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  endif()
  list(APPEND ARG_SOURCES ${ARG_ALSO})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(VEDETTE_SANITIZE MATCHES thread)
    vedette_with_threads(ARG_SOURCES)
    if(NOT ARG_SOURCES)
      return()
    endif()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE
    VEDETTE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" VEDETTE_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    VEDETTE_LIB_DIR="${CMAKE_LIBRARY_OUTPUT_DIRECTORY}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} vedette_test_main vedette_warnings)
  # The tests' own code is compiled for a quick build: what they measure and wait for is in the libraries.
  if(VEDETTE_SANITIZE)
    target_compile_options(${name} PRIVATE -O0)
  elseif(CMAKE_BUILD_TYPE STREQUAL Release)
    target_compile_options(${name} PRIVATE -O1)
  endif()
  if(ARG_ONE_ENTRY)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  else()
    catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  endif()
endfunction()
