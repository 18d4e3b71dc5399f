# Finds cargo and decides where and how it builds.
#
#   CARGO          the cargo to use
#   CARGO_PROFILE  plugin (default) or dev
# The one that the shell finds, then the one that rustup installs.
find_program(CARGO cargo PATHS "$ENV{HOME}/.cargo/bin" REQUIRED)
set(CARGO_PROFILE plugin CACHE STRING "cargo profile to build with")
set_property(CACHE CARGO_PROFILE PROPERTY STRINGS plugin dev)

# cargo's own folder, so that a build by hand and one by CMake share their work.
set(CARGO_TARGET_DIR "${CMAKE_CURRENT_SOURCE_DIR}/target" CACHE PATH "cargo's target folder")
if(CARGO_PROFILE STREQUAL "dev")
  set(CARGO_OUTPUT "${CARGO_TARGET_DIR}/debug")
else()
  set(CARGO_OUTPUT "${CARGO_TARGET_DIR}/${CARGO_PROFILE}")
endif()
