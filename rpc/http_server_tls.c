/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_server_tls.h.
 *
 * civetweb gets one SSL_CTX for good. What can change (certificate, key, the list
 * of trusted signers) is in a second one, which every handshake adopts when the
 * client's hello has come; a reload makes a new second one.
 */
#include "rpc/http_server_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/tls_options.h"

struct tess__tls {
  tess_tls_options options; /* owned copies */
  SSL_CTX *outer;
  pthread_mutex_t lock;
  SSL_CTX *current; /* under the lock */
};

/* What OpenSSL has to say, as the status's text. */
static tess_code fail(tess_status *status, const char *what, const char *name) {
  char text[256] = "?";
  unsigned long error = ERR_peek_last_error();
  if (error != 0) ERR_error_string_n(error, text, sizeof text);
  ERR_clear_error();
  return tess_status_set(status, TESS_INVALID_ARGUMENT, "TLS: %s%s%s: %s", what,
                         name != NULL ? " " : "", name != NULL ? name : "", text);
}

static BIO *open_pem(const char *file, const char *pem) {
  if (file != NULL) return BIO_new_file(file, "r");
  return BIO_new_mem_buf(pem, -1);
}

/* The password of an encrypted key is asked of nobody. */
static int no_password(char *buffer, int size, int writing, void *ctx) {
  (void)buffer;
  (void)size;
  (void)writing;
  (void)ctx;
  return -1;
}

static bool at_end_of_pem(void) {
  unsigned long error = ERR_peek_last_error();
  bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (end) ERR_clear_error();
  return end;
}

static bool use_chain(SSL_CTX *ctx, BIO *bio) {
  X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
  bool ok = leaf != NULL && SSL_CTX_use_certificate(ctx, leaf) == 1;
  X509_free(leaf);
  while (ok) {
    X509 *next = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    if (next == NULL) return at_end_of_pem();
    ok = SSL_CTX_add0_chain_cert(ctx, next) == 1;
    if (!ok) X509_free(next);
  }
  return false;
}

static bool use_key(SSL_CTX *ctx, BIO *bio) {
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
  bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1;
  EVP_PKEY_free(key);
  return ok;
}

static bool use_signers(SSL_CTX *ctx, BIO *bio) {
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  for (int count = 0;; count++) {
    X509 *ca = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    if (ca == NULL) return count > 0 && at_end_of_pem();
    bool ok = X509_STORE_add_cert(store, ca) == 1 && SSL_CTX_add_client_CA(ctx, ca) == 1;
    X509_free(ca);
    if (!ok) return false;
  }
}

static void set_verification(SSL_CTX *ctx, const tess_tls_options *o) {
  static const unsigned char id[] = "tessera";
  bool asks = o->ca_file != NULL || o->ca_pem != NULL;
  int mode = SSL_VERIFY_NONE;
  if (asks) mode = SSL_VERIFY_PEER;
  if (asks && o->require_client_certificate) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(ctx, mode, NULL);
  SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
  /* A resumed session would not be held against a changed list of signers. */
  if (asks) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  }
}

static SSL_CTX *new_context(void) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  if (ctx == NULL) return NULL;
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(
      ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
  /* A client that closes without a goodbye is a client that went away. */
  SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
  /* A large write makes progress record by record. */
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return ctx;
}

static tess_code load(const tess_tls_options *o, SSL_CTX **result, tess_status *status) {
  BIO *certificate = NULL, *key = NULL, *signers = NULL;
  SSL_CTX *ctx = NULL;
  tess_code code = TESS_OK;
  bool asks = o->ca_file != NULL || o->ca_pem != NULL;
  if ((o->certificate_file == NULL && o->certificate_pem == NULL) ||
      (o->key_file == NULL && o->key_pem == NULL))
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "TLS: a server needs a certificate and its key");
  if (o->require_client_certificate && !asks)
    return tess_status_set(status, TESS_INVALID_ARGUMENT,
                           "TLS: client certificates are required, but no signer is given");
  ERR_clear_error();
  ctx = new_context();
  if (ctx == NULL) {
    code = fail(status, "no context", NULL);
    goto done;
  }
  set_verification(ctx, o);
  certificate = open_pem(o->certificate_file, o->certificate_pem);
  if (certificate == NULL || !use_chain(ctx, certificate)) {
    code = fail(status, "cannot use the certificate", o->certificate_file);
    goto done;
  }
  key = open_pem(o->key_file, o->key_pem);
  if (key == NULL || !use_key(ctx, key) || SSL_CTX_check_private_key(ctx) != 1) {
    code = fail(status, "cannot use the key", o->key_file);
    goto done;
  }
  if (asks) {
    signers = open_pem(o->ca_file, o->ca_pem);
    if (signers == NULL || !use_signers(ctx, signers)) {
      code = fail(status, "cannot use the signers of client certificates", o->ca_file);
      goto done;
    }
  }
  *result = ctx;
  ctx = NULL;
done:
  BIO_free(certificate);
  BIO_free(key);
  BIO_free(signers);
  SSL_CTX_free(ctx);
  return code;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg) {
  tess__tls *tls = arg;
  (void)alert;
  pthread_mutex_lock(&tls->lock);
  SSL_CTX *current = tls->current;
  SSL_CTX_up_ref(current);
  pthread_mutex_unlock(&tls->lock);
  SSL_set_SSL_CTX(ssl, current); /* takes its own reference */
  SSL_set_verify(ssl, SSL_CTX_get_verify_mode(current), NULL);
  SSL_CTX_free(current);
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* HTTP/1.1 is all there is. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                   const unsigned char *in, unsigned in_size, void *arg) {
  static const unsigned char ours[] = "\x08http/1.1";
  unsigned char *chosen = NULL;
  (void)ssl;
  (void)arg;
  if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

tess__tls *tess__tls_new(const tess_tls_options *options, tess_status *status) {
  tess__tls *tls = calloc(1, sizeof *tls);
  if (tls == NULL || !tess__tls_options_copy(&tls->options, options)) {
    free(tls);
    tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory for TLS");
    return NULL;
  }
  pthread_mutex_init(&tls->lock, NULL);
  if (load(&tls->options, &tls->current, status) == TESS_OK) {
    tls->outer = new_context();
    if (tls->outer == NULL) fail(status, "no context", NULL);
  }
  if (tls->outer == NULL) {
    tess__tls_free(tls);
    return NULL;
  }
  set_verification(tls->outer, &tls->options);
  SSL_CTX_set_client_hello_cb(tls->outer, on_client_hello, tls);
  SSL_CTX_set_alpn_select_cb(tls->outer, on_alpn, NULL);
  return tls;
}

void tess__tls_free(tess__tls *tls) {
  if (tls == NULL) return;
  SSL_CTX_free(tls->outer);
  SSL_CTX_free(tls->current);
  pthread_mutex_destroy(&tls->lock);
  tess__tls_options_cleanup(&tls->options);
  free(tls);
}

tess_code tess__tls_reload(tess__tls *tls, const tess_tls_options *options, tess_status *status) {
  SSL_CTX *fresh = NULL, *old;
  tess_tls_options copy = {0};
  if (options != NULL && !tess__tls_options_copy(&copy, options))
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED, "out of memory for TLS");
  pthread_mutex_lock(&tls->lock);
  tess_code code = load(options != NULL ? &copy : &tls->options, &fresh, status);
  if (code == TESS_OK) {
    old = tls->current;
    tls->current = fresh;
    SSL_CTX_free(old); /* handshakes under way have references of their own */
    if (options != NULL) {
      tess_tls_options before = tls->options;
      tls->options = copy;
      copy = before;
    }
  }
  pthread_mutex_unlock(&tls->lock);
  tess__tls_options_cleanup(&copy);
  return code;
}

void *tess__tls_context(tess__tls *tls) {
  return tls->outer;
}

void tess__tls_subject(void *ssl, char *text, size_t size) {
  if (size == 0) return;
  text[0] = 0;
  X509 *certificate = ssl != NULL ? SSL_get1_peer_certificate(ssl) : NULL;
  if (certificate == NULL) return;
  BIO *bio = SSL_get_verify_result(ssl) == X509_V_OK ? BIO_new(BIO_s_mem()) : NULL;
  if (bio != NULL &&
      X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    if (length > 0 && (size_t)length < size) {
      memcpy(text, data, (size_t)length);
      text[length] = 0;
    }
  }
  BIO_free(bio);
  X509_free(certificate);
}
