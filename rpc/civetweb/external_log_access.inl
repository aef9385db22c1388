/* SPDX-License-Identifier: Apache-2.0
 *
 * civetweb includes this in place of its log of accesses
 * (MG_EXTERNAL_FUNCTION_log_access): behind the function that reads a head and before
 * the one place that calls it for a request. What is between the two is ours.
 */
static void log_access(const struct mg_connection *connection) {
  (void)connection;
}

#define read_message(file, connection, buffer, size, have) read_request_head(connection)
