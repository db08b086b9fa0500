#include "runtime/es256.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <array>

#include "base/status.h"

namespace vedette::runtime {
namespace {

constexpr size_t kCoordinateBytes = 32;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* p) const { Free(p); }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO, BIO_free_all>>;
using ContextPtr = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX, EVP_MD_CTX_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG, ECDSA_SIG_free>>;
using BuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM, OSSL_PARAM_free>>;

const unsigned char* Bytes(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }

BioPtr ReadBio(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

absl::StatusOr<std::shared_ptr<void>> CheckCurve(EVP_PKEY* raw) {
  std::shared_ptr<void> key(raw, [](void* p) { EVP_PKEY_free(static_cast<EVP_PKEY*>(p)); });
  ERR_clear_error();
  if (raw == nullptr) return InvalidArgument("not a readable key");
  char group[64] = {};
  size_t length = 0;
  if (EVP_PKEY_get_base_id(raw) != EVP_PKEY_EC || EVP_PKEY_get_group_name(raw, group, sizeof group, &length) != 1 ||
      std::string_view(group, length) != "prime256v1") {
    return InvalidArgument("not a P-256 key (ES256 needs one)");
  }
  return key;
}

std::string TakeBio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

std::string Base64UrlEncode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  uint32_t buffer = 0;
  int bits = 0;
  for (const char c : bytes) {
    buffer = (buffer << 8) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(kAlphabet[(buffer >> (bits - 6)) & 63]);
  }
  if (bits > 0) out.push_back(kAlphabet[(buffer << (6 - bits)) & 63]);
  return out;
}

std::optional<std::string> Base64UrlDecode(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    buffer = (buffer << 6) | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>((buffer >> bits) & 255));
    }
  }
  if ((buffer & ((1u << bits) - 1)) != 0) return std::nullopt;  // stray bits: another spelling of the same bytes
  return out;
}

absl::StatusOr<Es256Key> Es256Key::FromPublicPem(std::string_view pem) {
  ASSIGN_OR_RETURN(auto key, CheckCurve(PEM_read_bio_PUBKEY(ReadBio(pem).get(), nullptr, nullptr, nullptr)));
  return Es256Key(std::move(key));
}

absl::StatusOr<Es256Key> Es256Key::FromPrivatePem(std::string_view pem) {
  // An empty passphrase: an encrypted key is an error here, not a prompt on the terminal.
  ASSIGN_OR_RETURN(auto key, CheckCurve(PEM_read_bio_PrivateKey(ReadBio(pem).get(), nullptr, nullptr,
                                                                const_cast<char*>(""))));
  return Es256Key(std::move(key));
}

absl::StatusOr<Es256Key> Es256Key::FromCoordinates(std::string_view x, std::string_view y) {
  if (x.size() != kCoordinateBytes || y.size() != kCoordinateBytes) {
    return InvalidArgument("the coordinates of a P-256 key have 32 bytes each");
  }
  const std::string point = '\4' + std::string(x) + std::string(y);  // uncompressed, SEC 1 section 2.3.3
  const BuilderPtr builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* raw = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    raw = nullptr;
  }
  ASSIGN_OR_RETURN(auto key, CheckCurve(raw));
  return Es256Key(std::move(key));
}

absl::StatusOr<Es256Key> Es256Key::Generate() {
  ASSIGN_OR_RETURN(auto key, CheckCurve(EVP_EC_gen("P-256")));
  return Es256Key(std::move(key));
}

absl::StatusOr<std::string> Es256Key::PublicPem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PUBKEY(bio.get(), static_cast<EVP_PKEY*>(key_.get())) != 1) return Internal("cannot write the key");
  return TakeBio(bio.get());
}

absl::StatusOr<std::string> Es256Key::PrivatePem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), static_cast<EVP_PKEY*>(key_.get()), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    ERR_clear_error();
    return InvalidArgument("not a private key");
  }
  return TakeBio(bio.get());
}

absl::StatusOr<std::string> Es256Key::Sign(std::string_view message) const {
  const ContextPtr context(EVP_MD_CTX_new());
  std::array<unsigned char, 128> der;  // a P-256 signature in DER has at most 72 bytes
  size_t size = der.size();
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, static_cast<EVP_PKEY*>(key_.get())) != 1 ||
      EVP_DigestSign(context.get(), der.data(), &size, Bytes(message), message.size()) != 1) {
    ERR_clear_error();
    return InvalidArgument("cannot sign: not a private key");
  }
  const unsigned char* p = der.data();
  const SignaturePtr signature(d2i_ECDSA_SIG(nullptr, &p, static_cast<long>(size)));
  std::string out(2 * kCoordinateBytes, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  if (signature == nullptr || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), bytes, kCoordinateBytes) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), bytes + kCoordinateBytes, kCoordinateBytes) < 0) {
    ERR_clear_error();
    return Internal("cannot encode the signature");
  }
  return out;
}

bool Es256Key::Verify(std::string_view message, std::string_view raw) const {
  if (raw.size() != 2 * kCoordinateBytes) return false;
  const SignaturePtr signature(ECDSA_SIG_new());
  if (ECDSA_SIG_set0(signature.get(), BN_bin2bn(Bytes(raw), kCoordinateBytes, nullptr),
                     BN_bin2bn(Bytes(raw) + kCoordinateBytes, kCoordinateBytes, nullptr)) != 1) {
    return false;
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return false;
  const ContextPtr context(EVP_MD_CTX_new());
  const bool good =
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, static_cast<EVP_PKEY*>(key_.get())) == 1 &&
      EVP_DigestVerify(context.get(), der, static_cast<size_t>(size), Bytes(message), message.size()) == 1;
  OPENSSL_free(der);
  ERR_clear_error();  // a bad signature leaves an entry in this thread's queue
  return good;
}

}  // namespace vedette::runtime
