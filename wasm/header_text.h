/* SPDX-License-Identifier: Apache-2.0
 *
 * Header lists as they cross the module's border, "name: value\r\n" each, to and
 * from tess_metadata.
 */
#ifndef TESSERA_WASM_HEADER_TEXT_H
#define TESSERA_WASM_HEADER_TEXT_H

#include <tessera/memory.h>
#include <tessera/metadata.h>

/* Adds every header of the text; white space around values is dropped.
 * TESS_INVALID_ARGUMENT: a line without a colon or CRLF, or what
 * tess_metadata_add refuses; TESS_RESOURCE_EXHAUSTED. */
tess_code tess_header_text_parse(const char *text, size_t size, tess_metadata *metadata);

/* Writes the list as text from the arena. NULL: memory. */
char *tess_header_text_format(const tess_metadata *metadata, tess_arena *arena, size_t *size);

#endif
