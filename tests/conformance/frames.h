/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner's pipe: messages with a 4-byte big-endian length before them.
 */
#ifndef TESSERA_CONFORMANCE_FRAMES_H
#define TESSERA_CONFORMANCE_FRAMES_H

#include <tessera/memory.h>

#include <stdbool.h>

/* Reads one message; its bytes are malloc'ed. False: the pipe ended, or (with a
 * line on stderr) what came is no frame. */
bool frame_read(tess_slice *message);
/* Writes one message in one go; safe from several threads. */
void frame_write(tess_slice message);

#endif
