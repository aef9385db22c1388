/* SPDX-License-Identifier: Apache-2.0
 *
 * See certificates.h.
 */
#include "tests/integration/http/certificates.h"

#include <check.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(BIO *bio) {
  char *data;
  long size = BIO_get_mem_data(bio, &data);
  char *text = calloc(1, (size_t)size + 1);
  ck_assert_ptr_nonnull(text);
  memcpy(text, data, (size_t)size);
  BIO_free(bio);
  return text;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
  ck_assert_ptr_nonnull(extension);
  ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

identity identity_new(const char *name, const char *host, const identity *issuer) {
  static long serial = 1;
  EVP_PKEY *key = EVP_EC_gen("P-256"), *issuer_key = key;
  X509 *certificate = X509_new(), *issuer_certificate = certificate;
  ck_assert_ptr_nonnull(key);
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_pubkey(certificate, key);
  X509_NAME *subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"Test", -1, -1, 0);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
  if (issuer != NULL) {
    BIO *bio = BIO_new_mem_buf(issuer->certificate, -1);
    issuer_certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(issuer->key, -1);
    issuer_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
  }
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer_certificate));
  add_extension(certificate, issuer_certificate, NID_basic_constraints,
                issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
  if (host != NULL) {
    char alternative[128];
    snprintf(alternative, sizeof alternative, "IP:%s", host);
    add_extension(certificate, issuer_certificate, NID_subject_alt_name, alternative);
  }
  ck_assert_int_gt(X509_sign(certificate, issuer_key, EVP_sha256()), 0);

  identity result;
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  result.certificate = text_of(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
  result.key = text_of(bio);
  if (issuer != NULL) {
    X509_free(issuer_certificate);
    EVP_PKEY_free(issuer_key);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);
  return result;
}

void identity_free(identity *i) {
  free(i->certificate);
  free(i->key);
}
