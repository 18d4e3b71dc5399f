# ctest: the installed name loads, in the embedded host or, with -DFLUENT_BIT=…, in a real Fluent Bit.
set(FLUENT_BIT "" CACHE FILEPATH "a real Fluent Bit to test with; the embedded host if empty")
if(FLUENT_BIT)
  set(SCENARIO_HOST "${FLUENT_BIT}")
else()
  set(SCENARIO_HOST "${CARGO_OUTPUT}/exec-wasi")
endif()

# The help of the input shows our options only if the file was loaded and took the name.
add_test(NAME loads COMMAND "${SCENARIO_HOST}" -e "${PLUGIN}" -i exec_wasi -h)
set_tests_properties(loads PROPERTIES PASS_REGULAR_EXPRESSION "memory_limit")
