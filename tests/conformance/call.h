/* SPDX-License-Identifier: Apache-2.0
 *
 * Making one call of the suite. Two ways: call_blocking.c waits in the client's
 * blocking functions, call_events.c takes events and never waits.
 */
#ifndef TESSERA_CONFORMANCE_CALL_H
#define TESSERA_CONFORMANCE_CALL_H

#include <tessera/client.h>

#include "tests/conformance/suite.h"

/* The method tables of the runtime that this program tests (methods_*.c). */
extern const tess_service *const conf_service;

/* NULL: there is no such method. */
const tess_method *conf_find_method(const conf_case *test);
/* The i-th request, decoded by the runtime under test; in the case's arena. */
void *conf_request(const conf_case *test, const tess_method *method, size_t i);
/* Keeps a response's payload, encoded by the runtime under test. */
void conf_keep(conf_result *result, const tess_method *method, const void *response);
/* What all calls of a case have in common; fills result. */
tess_call_options conf_call_options(const conf_case *test, conf_result *result);
/* Zero where the case says nothing; transport, url and compressors are added by
 * the program. */
tess_client_options conf_client_options(const conf_case *test);
/* "http://host:port" or https, in the case's arena. */
const char *conf_url(const conf_case *test);

/* Natively: makes the call and returns when it is over (call_blocking.c,
 * call_waiting.c). */
void conf_run_case(const conf_case *test, tess_client *client, tess_transport *transport,
                   const tess_method *method, conf_result *result);

#endif
