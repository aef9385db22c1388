# The files of wasm/, relative to this folder, for every build of them.
# The controller: needs matmul/ alone.
set(TESSERA_CONTROLLER_SOURCES
  controller.c executor_local.c health.c job.c job_blocks.c job_tiles.c panel.c policy_adaptive.c trust.c)
# The module: the controller behind RPC, proxies to workers, the instance.
set(TESSERA_MODULE_SOURCES
  config.c executor_proxy.c header_text.c intake.c metrics.c module.c operand.c proxy_advance.c
  proxy_blocks.c proxy_calls.c proxy_message.c proxy_pulse.c proxy_request.c service_block.c
  service_control.c service_describe.c service_matmul.c transport_host.c wire.c)
# What a build with services of its own replaces (extension.h).
set(TESSERA_MODULE_EXTENSION_SOURCES extension_none.c)
# wasm32 alone.
set(TESSERA_WASM_LIBC_SOURCES libc/heap.c libc/malloc.c libc/mem.c libc/str.c)
set(TESSERA_WASM_ENTRY_SOURCES entry_wasm.c)
