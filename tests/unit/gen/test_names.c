/* SPDX-License-Identifier: Apache-2.0
 *
 * Name conversions. Expected names are those that protoc-c 1.4.1 and nanopb 0.4.7
 * gave for such schemas, and for ours what the documentation promises.
 */
#include <check.h>
#include <stdlib.h>

#include "names.h"
#include "tests/unit/run_case.h"

typedef char *(*conversion)(pool *memory, const char *name);

static void check_all(conversion convert, const char *const (*cases)[2], size_t count) {
  pool memory;
  pool_init(&memory, 1 << 16);
  for (size_t i = 0; i < count; i++)
    ck_assert_str_eq(convert(&memory, cases[i][0]), cases[i][1]);
  pool_cleanup(&memory);
}
#define CHECK_ALL(convert, ...)                              \
  do {                                                       \
    static const char *const cases[][2] = {__VA_ARGS__};     \
    check_all(convert, cases, sizeof cases / sizeof *cases); \
  } while (0)

START_TEST(of_protobuf_c) {
  CHECK_ALL(name_protobuf_c_struct, {"foo.bar.BazMessage", "Foo__Bar__BazMessage"},
            {"Ping", "Ping"}, {"snake_pkg.v1.snake_msg", "SnakePkg__V1__SnakeMsg"},
            {"Odd_pkg.V1api.Message_With_Underscores", "OddPkg__V1api__MessageWithUnderscores"},
            {"a.Trailing_", "A__Trailing"},
            {"nasty.v1.Tree.ByNameEntry", "Nasty__V1__Tree__ByNameEntry"});
  CHECK_ALL(
      name_protobuf_c_lower, {"foo.bar.BazMessage", "foo__bar__baz_message"},
      {"nasty.v1.HTTPServerV2Info", "nasty__v1__httpserver_v2_info"}, {"ABCDef", "abcdef"},
      {"Odd_pkg.V1api.Message_With_Underscores", "odd_pkg__v1api__message__with__underscores"},
      {"a.b2C", "a__b2_c"});
}
END_TEST

START_TEST(of_nanopb) {
  CHECK_ALL(name_nanopb, {"foo.bar.BazMessage", "foo_bar_BazMessage"}, {"Ping", "Ping"},
            {"Odd_pkg.V1api.M_U.nested_lower", "Odd_pkg_V1api_M_U_nested_lower"});
}
END_TEST

START_TEST(of_ours) {
  CHECK_ALL(name_symbol, {"foo.bar_baz.Msg", "foo_bar__baz_Msg"}, {"A", "A"});
  CHECK_ALL(name_path_symbol, {"tessera/matmul/v1/matmul.proto", "tessera_matmul_v1_matmul"},
            {"my_dir/odd-file.name.proto", "my__dir_odd_x2d_file_x2e_name"},
            {"plain.protodevel", "plain"});
  CHECK_ALL(name_strip_proto, {"a/b.proto", "a/b"}, {"a.proto/b", "a.proto/b"}, {".proto", ""});
  CHECK_ALL(name_snake, {"MatmulService", "matmul_service"}, {"GetHTTPStatus", "get_http_status"},
            {"GetURLOfHTTP2Server", "get_url_of_http2_server"}, {"already_snake", "already_snake"},
            {"Get_Mode", "get_mode"}, {"SHA256Sum", "sha256_sum"}, {"A", "a"}, {"AB", "ab"},
            {"lowerCamel", "lower_camel"}, {"PbC", "pb_c"});
  pool memory;
  pool_init(&memory, 1 << 16);
  ck_assert_str_eq(name_snake_prefix(&memory, "tessera.matmul.v1", "MatmulService"),
                   "tessera_matmul_v1_matmul_service");
  ck_assert_str_eq(name_snake_prefix(&memory, "", "Echo"), "echo");
  pool_cleanup(&memory);
}
END_TEST

START_TEST(checks) {
  ck_assert(name_is_identifier("a_1"));
  ck_assert(!name_is_identifier("1a"));
  ck_assert(!name_is_identifier(""));
  ck_assert(!name_is_identifier("a b"));
  ck_assert(!name_is_identifier("a;"));
  ck_assert(name_is_package(""));
  ck_assert(name_is_package("a.b_c.d1"));
  ck_assert(!name_is_package("a..b"));
  ck_assert(!name_is_package(".a"));
  ck_assert(!name_is_package("a."));
  ck_assert(!name_is_package("a.1b"));
  ck_assert(!name_is_package("a;b"));
  ck_assert(name_is_path("a b/c-d.proto"));
  ck_assert(!name_is_path("/etc/passwd"));
  ck_assert(!name_is_path("a\"b"));
  ck_assert(!name_is_path("a\nb"));
  ck_assert(!name_is_path(""));
  ck_assert(name_is_reserved("register"));
  ck_assert(name_is_reserved("delete"));
  ck_assert(!name_is_reserved("multiply"));
}
END_TEST

/* A pool at its maximum refuses and remembers; it never gives a short name. */
START_TEST(exhaustion) {
  pool memory;
  pool_init(&memory, 64);
  ck_assert_ptr_null(name_snake_prefix(&memory, "a.package.with.a.long.name", "Service"));
  ck_assert(memory.failed);
  ck_assert_ptr_null(pool_alloc(&memory, (size_t)-1, 16));
  pool_cleanup(&memory);
}
END_TEST

int main(void) {
  return RUN_TESTS("gen/names", 60, of_protobuf_c, of_nanopb, of_ours, checks, exhaustion);
}
