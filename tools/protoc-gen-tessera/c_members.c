/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of protobuf-c's struct for a message, named as protoc-gen-c names them;
 * two of one name do not compile.
 */
#include "c_members.h"

#include <stdlib.h>
#include <string.h>

#include "names.h"

typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Google__Protobuf__FileDescriptorProto file_proto;
#define TYPE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name
#define LABEL(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_##name

typedef struct member {
  const char *name;
  const char *owner;   /* for the error: whose it is */
  const char *subject; /* of the .proto */
} member;

static int compare(const void *a, const void *b) {
  const member *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order != 0 ? order : strcmp(x->subject, y->subject);
}

/* protoc-gen-c puts an underscore behind these. */
static bool is_renamed(const char *name) {
  static const char *const words[] = {/* C++98 */
                                      "and",
                                      "and_eq",
                                      "asm",
                                      "auto",
                                      "bitand",
                                      "bitor",
                                      "bool",
                                      "break",
                                      "case",
                                      "catch",
                                      "char",
                                      "class",
                                      "compl",
                                      "const",
                                      "const_cast",
                                      "continue",
                                      "default",
                                      "delete",
                                      "do",
                                      "double",
                                      "dynamic_cast",
                                      "else",
                                      "enum",
                                      "explicit",
                                      "extern",
                                      "false",
                                      "float",
                                      "for",
                                      "friend",
                                      "goto",
                                      "if",
                                      "inline",
                                      "int",
                                      "long",
                                      "mutable",
                                      "namespace",
                                      "new",
                                      "not",
                                      "not_eq",
                                      "operator",
                                      "or",
                                      "or_eq",
                                      "private",
                                      "protected",
                                      "public",
                                      "register",
                                      "reinterpret_cast",
                                      "return",
                                      "short",
                                      "signed",
                                      "sizeof",
                                      "static",
                                      "static_cast",
                                      "struct",
                                      "switch",
                                      "template",
                                      "this",
                                      "throw",
                                      "true",
                                      "try",
                                      "typedef",
                                      "typeid",
                                      "typename",
                                      "union",
                                      "unsigned",
                                      "using",
                                      "virtual",
                                      "void",
                                      "volatile",
                                      "wchar_t",
                                      "while",
                                      "xor",
                                      "xor_eq"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(name, words[i]) == 0) return true;
  return false;
}

static const char *field_member(pool *memory, const field_proto *field) {
  char *name = pool_printf(memory, "%s", field->name);
  for (char *c = name; c && *c; c++)
    if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
  return name && is_renamed(name) ? pool_printf(memory, "%s_", name) : name;
}

/* "optional" of proto2; that of proto3 is a oneof to protoc-gen-c. */
static bool has_flag(const file_proto *file, const field_proto *field) {
  bool proto3 = file->syntax && strcmp(file->syntax, "proto3") == 0;
  return !proto3 && field->label == LABEL(OPTIONAL) && !field->has_oneof_index &&
         field->type != TYPE(STRING) && field->type != TYPE(MESSAGE);
}

static const char *add(pool *memory, member *members, size_t *count, const char *prefix,
                       const char *name, const char *kind, const char *subject) {
  member *at = &members[(*count)++];
  at->name = pool_printf(memory, "%s%s", prefix, name);
  at->owner = pool_printf(memory, "%s %s", kind, subject);
  at->subject = subject;
  return at->owner ? at->name : NULL;
}

/* A name each for the field itself and for what may come with it. */
static bool collect(pool *memory, const file_proto *file, const message_proto *message,
                    member *members, size_t *count) {
  for (size_t i = 0; i < message->n_field; i++) {
    const field_proto *field = message->field[i];
    const char *name = field->name ? field_member(memory, field) : NULL;
    if (!name || !add(memory, members, count, "", name, "field", field->name)) return false;
    if (field->label == LABEL(REPEATED) &&
        !add(memory, members, count, "n_", name, "the count of repeated field", field->name))
      return false;
    if (has_flag(file, field) &&
        !add(memory, members, count, "has_", name, "the presence of optional field", field->name))
      return false;
  }
  for (size_t i = 0; i < message->n_oneof_decl; i++) {
    const char *oneof = message->oneof_decl[i]->name;
    const char *name = oneof ? name_protobuf_c_lower(memory, oneof) : NULL;
    const char *chosen = name ? pool_printf(memory, "%s_case", name) : NULL;
    if (!chosen || !add(memory, members, count, "", chosen, "the case of oneof", oneof))
      return false;
  }
  return true;
}

static const char *field_problem(pool *memory, const file_proto *file, const char *full_name,
                                 const field_proto *field) {
  if (field->type == TYPE(GROUP))
    return pool_printf(memory, "%s: %s.%s is a group, which protobuf-c does not generate",
                       file->name, full_name, field->name ? field->name : "?");
  const char *name = field->name ? field_member(memory, field) : NULL;
  if (name && strcmp(name, "base") == 0)
    return pool_printf(memory,
                       "%s: %s.%s: every struct of protobuf-c has a member \"base\" of its own, "
                       "and the code would not compile; rename the field",
                       file->name, full_name, field->name);
  if (name && strcmp(name, "restrict") == 0)
    return pool_printf(memory,
                       "%s: %s.%s is a word of C that protobuf-c leaves as it is, and the code "
                       "would not compile; rename the field",
                       file->name, full_name, field->name);
  return NULL;
}

static const char *message_problem(pool *memory, const file_proto *file, const char *scope,
                                   const message_proto *message) {
  const char *full_name =
      pool_printf(memory, "%s%s%s", scope, *scope ? "." : "", message->name ? message->name : "?");
  if (!full_name) return NULL;
  for (size_t i = 0; i < message->n_field; i++) {
    const char *problem = field_problem(memory, file, full_name, message->field[i]);
    if (problem) return problem;
  }
  size_t count = 0, most = 3 * message->n_field + message->n_oneof_decl;
  member *members = pool_alloc(memory, most, sizeof *members);
  if (!members || !collect(memory, file, message, members, &count)) return NULL;
  if (count > 0) qsort(members, count, sizeof *members, compare);
  for (size_t i = 1; i < count; i++)
    if (strcmp(members[i - 1].name, members[i].name) == 0)
      return pool_printf(memory,
                         "%s: %s: %s and %s are both the member \"%s\" in protobuf-c's code, "
                         "which would not compile; rename one",
                         file->name, full_name, members[i - 1].owner, members[i].owner,
                         members[i].name);
  for (size_t i = 0; i < message->n_nested_type; i++) {
    const char *problem = message_problem(memory, file, full_name, message->nested_type[i]);
    if (problem) return problem;
  }
  return NULL;
}

const char *c_members_problem(pool *memory, const file_proto *file) {
  for (size_t i = 0; i < file->n_message_type; i++) {
    const char *problem =
        message_problem(memory, file, file->package ? file->package : "", file->message_type[i]);
    if (problem) return problem;
  }
  return NULL;
}
