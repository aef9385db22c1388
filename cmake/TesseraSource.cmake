# Sources of others that are compiled in: kept in the user's cache folder, so that
# further configures and build trees need no network.
include_guard(GLOBAL)

# tess_source_dir(RESULT NAME): the folder in which NAME's sources are kept.
function(tess_source_dir result name)
  if(DEFINED ENV{TESSERA_CACHE_DIR})
    set(root "$ENV{TESSERA_CACHE_DIR}")
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(root "$ENV{XDG_CACHE_HOME}/tessera")
  elseif(DEFINED ENV{HOME} AND IS_DIRECTORY "$ENV{HOME}")
    set(root "$ENV{HOME}/.cache/tessera")
  else()
    set(root "${PROJECT_BINARY_DIR}/deps")
  endif()
  set(${result} "${root}/${name}" PARENT_SCOPE)
endfunction()

# tess_source_fetch(NAME DEST URL SHA256 [FILE]...): from the distribution's source
# package NAME, else from upstream by a pinned hash: these files, or all.
function(tess_source_fetch name dest url sha256)
  get_filename_component(parent "${dest}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  message(STATUS "${name}: getting the sources (once; kept in ${dest})")
  execute_process(COMMAND "${PROJECT_SOURCE_DIR}/tools/debian-source.sh" ${name} "${dest}"
    RESULT_VARIABLE rc ERROR_VARIABLE why OUTPUT_QUIET ERROR_STRIP_TRAILING_WHITESPACE)
  if(rc EQUAL 0)
    return()
  endif()
  message(STATUS "${why}; trying ${url}")
  include(FetchContent)
  # No SOURCE_SUBDIR with a CMakeLists.txt: their own build is not wanted.
  FetchContent_Declare(${name}_upstream URL "${url}"
    URL_HASH SHA256=${sha256} DOWNLOAD_EXTRACT_TIMESTAMP TRUE SOURCE_SUBDIR none)
  FetchContent_MakeAvailable(${name}_upstream)
  string(RANDOM LENGTH 8 suffix)
  set(part "${dest}.part.${suffix}")
  if(ARGN)
    list(TRANSFORM ARGN PREPEND "${${name}_upstream_SOURCE_DIR}/" OUTPUT_VARIABLE files)
  else()
    set(files "${${name}_upstream_SOURCE_DIR}/")
  endif()
  file(COPY ${files} DESTINATION "${part}")
  file(RENAME "${part}" "${dest}" RESULT renamed)
  file(REMOVE_RECURSE "${part}")
endfunction()
