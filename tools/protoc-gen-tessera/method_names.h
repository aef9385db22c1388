/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the typed functions and of the members of the handlers struct.
 */
#ifndef TESSERA_PROTOC_GEN_METHOD_NAMES_H
#define TESSERA_PROTOC_GEN_METHOD_NAMES_H

#include "model.h"

/* Fills `member` and `call` of every method of the file. Two methods (or two
 * services, whose `prefix` then changes) may come to the same name ("GetMode" and "Get_Mode"; "Job"
 * with its job_start() and "JobStart"; "Register" and the service's register()): the later one gets
 * an underscore behind it, or several. False: out of memory. */
bool method_names_assign(pool *memory, model_file *file);

#endif
