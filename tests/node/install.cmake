# Installs tests/package-lock.json into tests/node_modules unless that was done.
# Run in tests/ with -DNPM=...
set(done node_modules/.package-lock.json)
if(EXISTS "${done}" AND NOT package-lock.json IS_NEWER_THAN "${done}")
  return()
endif()
execute_process(COMMAND "${NPM}" ci --no-audit --no-fund RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "npm ci failed: is a package registry in reach?")
endif()
file(TOUCH_NOCREATE "${done}")
