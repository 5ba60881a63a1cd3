#include "dataplane/smtp/early.h"

#include <gtest/gtest.h>

#include <string_view>

#include "tests/unit/smtp/script.h"

namespace mire::smtp {
namespace {

using std::string_view_literals::operator""sv;
using test::bytes_of;

TEST(Early, KnowsAHelloInAnyCase) {
  for (const auto text : {"EHLO mx.example.org\r\n"sv, "ehlo x"sv, "eHlO "sv})
    EXPECT_TRUE(is_hello(bytes_of(text))) << text;
}

TEST(Early, TakesNothingElseForAHello) {
  for (const auto text :
       {""sv, "EHLO"sv, "EHLO\r\n"sv, "HELO x\r\n"sv, " EHLO x"sv, "EHL\x0f x"sv, "EHLO\0x"sv, "LHLO x\r\n"sv}) {
    EXPECT_FALSE(is_hello(bytes_of(text))) << text;
  }
}

TEST(Early, KnowsOtherProtocols) {
  for (const auto text :
       {"GET / HTTP/1.1\r\n"sv, "POST /x"sv, "HEAD /"sv, "PUT /"sv, "OPTIONS sip:nm"sv, "CONNECT mail:25"sv,
        "PRI * HTTP/2.0\r\n"sv, "SSH-2.0-x"sv, "PROXY TCP4 192.0.2.1"sv, "\r\n\r\n\0\r\nQUIT\n\x21"sv,
        "\x16\x03\x01\x02\x00\x01"sv, "\x16\x03"sv, "\x80\x2e\x01\x03\x01"sv, "\x80\x2e\x01\x00\x02"sv, "\x05\x01\0"sv,
        "\x03\0\0\x13"sv, "\0\0\0\x54\xffSMB"sv}) {
    EXPECT_TRUE(other_protocol(bytes_of(text))) << text;
  }
}

TEST(Early, TakesNoSmtpForAnotherProtocol) {
  for (const auto text :
       {""sv, "G"sv, "GET"sv, "\x16"sv, "\x16\x01"sv, "EHLO x\r\n"sv, "HELO x\r\n"sv, "MAIL FROM:<>\r\n"sv,
        "QUIT\r\n"sv, "\r\n"sv, "get /"sv, "GETX "sv, "HELP\r\n"sv, "AUTH LOGIN\r\n"sv}) {
    EXPECT_FALSE(other_protocol(bytes_of(text))) << text;
  }
}

}  // namespace
}  // namespace mire::smtp
