# tessera_generate: from .proto files to a library of messages, method tables and
# typed calls.
#
#   tessera_generate(TARGET <name>
#     PROTOS <file>...          relative to the current folder or to an import folder
#     [IMPORT_DIRS <dir>...]    where imports are looked for; default: the current folder
#     [RUNTIME protobuf-c|nanopb]     default: protobuf-c
#     [OPTIONS_DIRS <dir>...])  where nanopb's .options files lie; default: IMPORT_DIRS
#
# Makes a static library <name>. Link it, and include "<path>.rpc.pb-c.h"
# (protobuf-c) or "<path>.rpc.pb.h" (nanopb), <path> being that of the .proto
# below its import folder, without ".proto".
#
# Imports must be listed in PROTOS too, or come from another such library that
# <name> is linked to (PUBLIC). google/protobuf/*.proto are added on their own.
# For both runtimes in one program call it twice, with two targets.
include_guard(GLOBAL)

# Programs: in this project a target goes by its plain name, in the installed
# package behind "tessera::". Libraries have the latter name in both.
function(tess_generate_program result name)
  if(TARGET tessera::${name})
    set(${result} tessera::${name} PARENT_SCOPE)
  else()
    set(${result} ${name} PARENT_SCOPE)
  endif()
endfunction()

# The path of a .proto below one of the folders, as protoc calls it.
function(tess_generate_name result file)
  foreach(dir IN LISTS ARGN)
    cmake_path(IS_PREFIX dir "${file}" NORMALIZE inside)
    if(inside)
      cmake_path(RELATIVE_PATH file BASE_DIRECTORY "${dir}" OUTPUT_VARIABLE name)
      set(${result} "${name}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "tessera_generate: ${file} lies in none of the import folders: ${ARGN}")
endfunction()

# Every file that the given ones import, directly or not, themselves included.
# protoc is asked: nobody else reads .proto files here.
function(tess_generate_closure result work_dir)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "PROTOS;IMPORTS")
  set(list "${work_dir}/imports.d")
  set(files "")
  foreach(proto IN LISTS arg_PROTOS)
    execute_process(
      COMMAND "${PROTOBUFC_PROTOC}" ${arg_IMPORTS} "--dependency_out=${list}"
        "--descriptor_set_out=${work_dir}/descriptors.pb" "${proto}"
      RESULT_VARIABLE rc ERROR_VARIABLE why ERROR_STRIP_TRAILING_WHITESPACE)
    if(NOT rc EQUAL 0)
      message(FATAL_ERROR "tessera_generate: protoc says\n${why}")
    endif()
    # One path a line, behind "descriptors.pb:", each but the last with a backslash.
    file(READ "${list}" text)
    string(REGEX REPLACE "^[^\n]*descriptors\\.pb:" "" text "${text}")
    string(REGEX REPLACE "\\\\?\n" ";" lines "${text}")
    foreach(line IN LISTS lines)
      string(STRIP "${line}" line)
      if(line)
        cmake_path(ABSOLUTE_PATH line NORMALIZE)
        list(APPEND files "${line}")
      endif()
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES files)
  set(${result} "${files}" PARENT_SCOPE)
endfunction()

function(tessera_generate)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET;RUNTIME" "PROTOS;IMPORT_DIRS;OPTIONS_DIRS")
  if(NOT arg_TARGET OR NOT arg_PROTOS)
    message(FATAL_ERROR "tessera_generate: TARGET and PROTOS are needed")
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tessera_generate: what is ${arg_UNPARSED_ARGUMENTS}?")
  endif()
  if(NOT arg_RUNTIME)
    set(arg_RUNTIME protobuf-c)
  endif()
  if(NOT arg_IMPORT_DIRS)
    set(arg_IMPORT_DIRS "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  if(NOT arg_OPTIONS_DIRS)
    set(arg_OPTIONS_DIRS ${arg_IMPORT_DIRS})
  endif()
  tess_generate_program(plugin protoc-gen-tessera)
  if(arg_RUNTIME STREQUAL "protobuf-c")
    tess_generate_program(c_plugin protoc-gen-c-messages)
    set(runtime tessera::protobuf-c)
    set(message_flags "--plugin=protoc-gen-c=$<TARGET_FILE:${c_plugin}>" --c_out)
    set(message_files .pb-c.h .pb-c.c)
    set(rpc_files .rpc.pb-c.h .rpc.pb-c.c)
    set(generators ${plugin} ${c_plugin})
  elseif(arg_RUNTIME STREQUAL "nanopb")
    find_program(NANOPB_GENERATOR protoc-gen-nanopb)
    if(NOT NANOPB_GENERATOR)
      message(FATAL_ERROR "tessera_generate: protoc-gen-nanopb is missing (Debian: nanopb)")
    endif()
    set(runtime tessera::nanopb)
    set(message_flags "--plugin=protoc-gen-nanopb=${NANOPB_GENERATOR}" --nanopb_out)
    set(message_files .pb.h .pb.c)
    set(rpc_files .rpc.pb.h .rpc.pb.c)
    set(generators ${plugin})
  else()
    message(FATAL_ERROR "tessera_generate: RUNTIME is protobuf-c or nanopb, not ${arg_RUNTIME}")
  endif()

  # Folders in the order in which protoc searches them; its own protos come last.
  set(import_dirs "")
  foreach(dir IN LISTS arg_IMPORT_DIRS)
    cmake_path(ABSOLUTE_PATH dir NORMALIZE)
    list(APPEND import_dirs "${dir}")
  endforeach()
  list(APPEND import_dirs "${PROTOBUFC_WKT_DIR}")
  list(REMOVE_DUPLICATES import_dirs)
  set(imports ${import_dirs})
  list(TRANSFORM imports PREPEND "-I")
  set(options_flags "")
  set(option_files "")
  if(arg_RUNTIME STREQUAL "nanopb")
    foreach(dir IN LISTS arg_OPTIONS_DIRS)
      cmake_path(ABSOLUTE_PATH dir NORMALIZE)
      list(APPEND options_flags "--nanopb_opt=-I${dir}")
      file(GLOB_RECURSE found CONFIGURE_DEPENDS "${dir}/*.options")
      list(APPEND option_files ${found})
    endforeach()
  endif()

  set(files "")
  foreach(proto IN LISTS arg_PROTOS)
    set(found "")
    foreach(dir IN ITEMS "${CMAKE_CURRENT_SOURCE_DIR}" LISTS import_dirs)
      cmake_path(ABSOLUTE_PATH proto BASE_DIRECTORY "${dir}" NORMALIZE OUTPUT_VARIABLE candidate)
      if(NOT found AND EXISTS "${candidate}")
        set(found "${candidate}")
      endif()
    endforeach()
    if(NOT found)
      message(FATAL_ERROR "tessera_generate: there is no ${proto}")
    endif()
    list(APPEND files "${found}")
  endforeach()

  set(out "${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}.gen")
  set(work "${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}.dir.gen")
  file(MAKE_DIRECTORY "${out}" "${work}")
  tess_generate_closure(closure "${work}" PROTOS ${files} IMPORTS ${imports})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${closure})
  foreach(file IN LISTS closure)
    if(file MATCHES "/google/protobuf/[a-z_]+\\.proto$")
      cmake_path(IS_PREFIX PROTOBUFC_WKT_DIR "${file}" NORMALIZE well_known)
      # nanopb never includes descriptor.proto, which serves options alone.
      if(well_known AND NOT (arg_RUNTIME STREQUAL "nanopb" AND file MATCHES "/descriptor\\.proto$"))
        list(APPEND files "${file}")
      endif()
    endif()
  endforeach()
  list(REMOVE_DUPLICATES files)

  set(sources "")
  foreach(file IN LISTS files)
    tess_generate_name(name "${file}" ${import_dirs})
    string(REGEX REPLACE "\\.proto$" "" stem "${name}")
    set(outputs "")
    foreach(ending IN ITEMS ${message_files} ${rpc_files} .schema.h .schema.c)
      list(APPEND outputs "${out}/${stem}${ending}")
    endforeach()
    list(GET message_flags 0 message_plugin)
    list(GET message_flags 1 message_out)
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND "${PROTOBUFC_PROTOC}" ${imports} "${message_plugin}" ${options_flags}
        "${message_out}=${out}" "${file}"
      COMMAND "${PROTOBUFC_PROTOC}" ${imports} "--plugin=protoc-gen-tessera=$<TARGET_FILE:${plugin}>"
        "--tessera_opt=runtime=${arg_RUNTIME}" "--tessera_out=${out}" "${file}"
      DEPENDS ${closure} ${option_files} ${generators}
      COMMENT "Generating ${stem} (${arg_RUNTIME})" VERBATIM)
    list(APPEND sources ${outputs})
  endforeach()

  add_library(${arg_TARGET} STATIC ${sources})
  # So that -Wl,--gc-sections drops what a program does not use (descriptors, for one).
  target_compile_options(${arg_TARGET} PRIVATE -ffunction-sections -fdata-sections)
  # Headers before anything that includes them: the library is one target.
  target_include_directories(${arg_TARGET} SYSTEM PUBLIC "$<BUILD_INTERFACE:${out}>")
  target_link_libraries(${arg_TARGET} PUBLIC ${runtime})
  set_target_properties(${arg_TARGET} PROPERTIES LINKER_LANGUAGE C
    TESSERA_GENERATED_DIR "${out}")
endfunction()
