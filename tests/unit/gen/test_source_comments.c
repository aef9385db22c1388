/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever a comment in a .proto holds, the C comment stays one comment.
 */
#include <check.h>
#include <stdlib.h>

#include "source_comments.h"
#include "tests/unit/run_case.h"

static void check_comment(const char *comment, const char *more, const char *expected) {
  text out = {0};
  source_comment_write(&out, "", comment, more);
  ck_assert(!out.failed);
  ck_assert_str_eq(out.data ? out.data : "", expected);
  text_cleanup(&out);
}

START_TEST(shapes) {
  check_comment(NULL, NULL, "");
  check_comment("", NULL, "");
  check_comment(" \n\t\r\n", NULL, "");
  check_comment(" One line.\n", NULL, "/* One line. */\n");
  check_comment(" Two\n lines.\n", NULL, "/* Two\n * lines. */\n");
  check_comment("\n\n First\n\n   indented\n\n", NULL, "/* First\n *\n *   indented */\n");
  check_comment(NULL, "More.", "/* More. */\n");
  check_comment(" Text.\n", "More.", "/* Text.\n *\n * More. */\n");
}
END_TEST

START_TEST(dangers) {
  check_comment(" a */ int x; /* b", NULL, "/* a * / int x; / * b */\n");
  check_comment(" **//*", NULL, "/* ** // * */\n");
  check_comment(" /*/", NULL, "/* / * / */\n");
  check_comment("/", NULL, "/* / */\n");
  check_comment(" ends in \\\n next", NULL, "/* ends in \\ .\n * next */\n");
  check_comment(" ends in ?\?/\n next", NULL, "/* ends in ?\?/ .\n * next */\n");
  check_comment(" spaces after \\   \n next", NULL, "/* spaces after \\ .\n * next */\n");
  check_comment(" bell \a tab\tend\r\n", NULL, "/* bell   tab end */\n");
  /* Direction marks: left-to-right mark, override, isolate. */
  check_comment(" x\xe2\x80\x8ey\xe2\x80\xaez\xe2\x81\xa6", NULL, "/* x?y?z? */\n");
  check_comment(" caf\xc3\xa9 \xe2\x82\xac", NULL, "/* caf\xc3\xa9 \xe2\x82\xac */\n");
}
END_TEST

int main(void) {
  return RUN_TESTS("gen/source_comments", 60, shapes, dangers);
}
