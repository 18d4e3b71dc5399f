# The target `plugin`: build with cargo, copy to the loadable name, install.
set(PLUGIN "${CMAKE_CURRENT_BINARY_DIR}/flb-in_exec_wasi.so")

add_custom_target(
  plugin ALL
  COMMAND
    "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${CARGO_TARGET_DIR}" "${CARGO}" rustc --locked
    --package flb-in-exec-wasi "--profile=${CARGO_PROFILE}" --lib --crate-type cdylib
  COMMAND
    "${CMAKE_COMMAND}" -E copy_if_different "${CARGO_OUTPUT}/libflb_in_exec_wasi.so" "${PLUGIN}"
  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
  BYPRODUCTS "${PLUGIN}"
  # cargo knows best what has changed.
  VERBATIM USES_TERMINAL)

# Where Fluent Bit's own packages keep plugins of others.
set(PLUGIN_INSTALL_DIR "${CMAKE_INSTALL_LIBDIR}/fluent-bit" CACHE STRING "where the plugin is installed")
install(PROGRAMS "${PLUGIN}" DESTINATION "${PLUGIN_INSTALL_DIR}")
