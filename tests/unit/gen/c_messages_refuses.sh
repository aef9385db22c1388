#!/bin/sh
# protoc-gen-c-messages: what protoc-gen-c crashes on, or makes code of that does not
# compile, is refused by file and field; names that only look alike pass.
# Usage: c_messages_refuses.sh PROTOC PROTOC_GEN_C_MESSAGES
set -eu
protoc=$1 plugin=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
fail() { echo "c_messages_refuses: $1" >&2; exit 1; }

generate() { # SYNTAX BODY [FILE]
  mkdir -p out
  printf 'syntax = "%s"; package a.b; %s\n' "$1" "$2" >x.proto
  "$protoc" -I. "--plugin=protoc-gen-c=$plugin" --c_out=out "${3:-x.proto}" 2>&1
}
refused() { # SYNTAX BODY TEXT
  if out=$(generate "$1" "$2"); then fail "passes: $2"; fi
  case $out in *"$3"*) ;; *) fail "'$out' does not say '$3'" ;; esac
}
passes() { # SYNTAX BODY
  out=$(generate "$1" "$2") || fail "refused: $2: $out"
}

refused proto2 'message M { optional group Grp = 1 { optional int32 a = 1; } }' \
  'x.proto: a.b.M.grp is a group, which protobuf-c does not generate'
refused proto2 'message M { message N { repeated group Grp = 1 { } } }' 'x.proto: a.b.M.N.grp is a group'
refused proto3 'message M { string base = 1; }' 'x.proto: a.b.M.base: every struct of protobuf-c has'
refused proto3 'message M { message N { string Base = 1; } }' 'x.proto: a.b.M.N.Base: every struct'
refused proto3 'message M { bool restrict = 1; }' 'x.proto: a.b.M.restrict is a word of C'
refused proto3 'message M { repeated M x = 1; int32 n_x = 2; }' \
  'x.proto: a.b.M: field n_x and the count of repeated field x are both the member "n_x"'
refused proto3 'message M { map<int32, M> Xy = 1; int32 n_xy = 2; }' 'the count of repeated field Xy'
refused proto2 'message M { optional bytes x = 1; optional M has_x = 2; }' \
  'field has_x and the presence of optional field x'
refused proto3 'message M { oneof x { int32 a = 1; } int32 x_case = 2; }' \
  'the case of oneof x and field x_case'
refused proto3 'message M { optional int32 x = 1; int32 _x_case = 2; }' 'the case of oneof _x'
refused proto3 'message M { oneof Foo { int32 a = 1; } oneof foo { int32 b = 2; } }' \
  'the case of oneof Foo and the case of oneof foo'
refused proto2 'message M { required int32 Foo = 1; required int32 foo = 2; }' \
  'field Foo and field foo are both the member "foo"'
refused proto2 'message M { required int32 int = 1; required int32 int_ = 2; }' 'the member "int_"'

passes proto3 'message M { optional int32 x = 1; int32 has_x = 2; M y = 3; int32 has_y = 4; }'
passes proto2 'message M { optional string x = 1; optional int32 has_x = 2; required int32 y = 3;
  required int32 has_y = 4; oneof z { bytes q = 5; } required int32 has_q = 6; }'
passes proto3 'message M { oneof base { int32 a = 1; } repeated M int = 2; int32 n_int = 3; }'
passes proto3 'message M { oneof FooBar { int32 a = 1; } int32 foobar_case = 2; M base_ = 3; }'
# a field of another message, of a group in an extension, of a file that is not generated
passes proto2 'message M { extensions 5 to 10; } extend M { optional group G = 5 { } }'
printf 'syntax = "proto3"; import "x.proto"; message Y { int32 a = 1; }\n' >y.proto
out=$(generate proto3 'message M { string base = 1; }' y.proto) || fail "an import is refused: $out"
echo "c_messages_refuses: ok"
