# ctest: the installed name loads, in the embedded host or, with -DFLUENT_BIT=…, in a real Fluent Bit.
set(FLUENT_BIT "" CACHE FILEPATH "a real Fluent Bit to test with; the embedded host if empty")
if(FLUENT_BIT)
  set(SCENARIO_HOST "${FLUENT_BIT}")
else()
  # Only a test needs it, so only a test builds it.
  set(SCENARIO_HOST "${CARGO_TARGET_DIR}/debug/exec-wasi")
  add_test(NAME embedded_host
    COMMAND "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${CARGO_TARGET_DIR}" "${CARGO}" build --locked --bin exec-wasi
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  set_tests_properties(embedded_host PROPERTIES FIXTURES_SETUP host TIMEOUT 3600)
endif()

# The help of the input shows our options only if the file was loaded and took the name.
add_test(NAME loads COMMAND "${SCENARIO_HOST}" -e "${PLUGIN}" -i exec_wasi -h)
set_tests_properties(loads PROPERTIES PASS_REGULAR_EXPRESSION "memory_limit" FIXTURES_REQUIRED host)
