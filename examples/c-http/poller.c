/* Prints what is new in a feed of events, one JSON object a line, and remembers how far it came. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poller.h"

static const char CURSOR[] = "/state/cursor";
static const char NEXT_CURSOR[] = "/state/cursor.new";
static const size_t LARGEST = 1000000;

struct text {
    char *bytes;
    size_t length;
};

static poller_string_t string(const char *text, size_t length) {
    return (poller_string_t){.ptr = (uint8_t *)text, .len = length};
}

/* Text on standard error is a line in Fluent Bit's log. */
static bool failed(const char *url, const char *what) {
    fprintf(stderr, "%s: %s\n", url, what);
    return false;
}

static const char *reason(const wasi_http_types_error_code_t *error) {
    switch (error->tag) {
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED:
    case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED:
        return "not allowed";
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_REFUSED:
        return "the connection was refused";
    case WASI_HTTP_TYPES_ERROR_CODE_TLS_CERTIFICATE_ERROR:
        return "the certificate is not trusted";
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT:
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TIMEOUT:
        return "no answer in time";
    default:
        return "the request failed";
    }
}

/* Reads the body; false if it is cut or too long. */
static bool read_body(wasi_http_types_borrow_incoming_response_t response, struct text *text) {
    wasi_http_types_own_incoming_body_t body;
    wasi_http_types_own_input_stream_t input;
    if (!wasi_http_types_method_incoming_response_consume(response, &body) ||
        !wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &input))
        return false;
    poller_list_u8_t part;
    wasi_io_streams_stream_error_t end;
    while (wasi_io_streams_method_input_stream_blocking_read(
        wasi_io_streams_borrow_input_stream(input), 65536, &part, &end)) {
        if (text->length + part.len > LARGEST)
            return false;
        char *bytes = realloc(text->bytes, text->length + part.len + 1);
        if (bytes == NULL)
            return false;
        memcpy(bytes + text->length, part.ptr, part.len);
        text->bytes = bytes;
        text->length += part.len;
        poller_list_u8_free(&part);
    }
    return end.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
}

/* Asks for http://authority/path or https://authority/path; says what went wrong. */
static bool get(const char *url, const char *path_end, struct text *text) {
    const char *authority = strstr(url, "://");
    const char *path = authority == NULL ? NULL : strchr(authority + 3, '/');
    if (path == NULL)
        return failed(url, "not a URL with a path");
    authority += 3;

    wasi_http_types_own_headers_t headers = wasi_http_types_constructor_fields();
    const char *token = getenv("TOKEN");
    if (token != NULL) {
        char bearer[1024];
        int length = snprintf(bearer, sizeof bearer, "Bearer %s", token);
        poller_string_t name = string("authorization", strlen("authorization"));
        poller_list_u8_t value = {.ptr = (uint8_t *)bearer, .len = (size_t)length};
        wasi_http_types_header_error_t error;
        if ((size_t)length >= sizeof bearer ||
            !wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value, &error))
            return failed(url, "TOKEN is no token");
    }

    char path_with_query[1024];
    int length = snprintf(path_with_query, sizeof path_with_query, "%s%s", path, path_end);
    if ((size_t)length >= sizeof path_with_query)
        return failed(url, "too long");
    wasi_http_types_own_outgoing_request_t request = wasi_http_types_constructor_outgoing_request(headers);
    wasi_http_types_borrow_outgoing_request_t described = wasi_http_types_borrow_outgoing_request(request);
    wasi_http_types_scheme_t scheme = {
        .tag = url[4] == 's' ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP,
    };
    poller_string_t to = string(authority, (size_t)(path - authority));
    poller_string_t query = string(path_with_query, (size_t)length);
    if (!wasi_http_types_method_outgoing_request_set_scheme(described, &scheme) ||
        !wasi_http_types_method_outgoing_request_set_authority(described, &to) ||
        !wasi_http_types_method_outgoing_request_set_path_with_query(described, &query))
        return failed(url, "not a URL");

    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_error_code_t error;
    if (!wasi_http_outgoing_handler_handle(request, NULL, &future, &error))
        return failed(url, reason(&error));
    wasi_http_types_borrow_future_incoming_response_t awaited =
        wasi_http_types_borrow_future_incoming_response(future);
    wasi_http_types_own_pollable_t ready =
        wasi_http_types_method_future_incoming_response_subscribe(awaited);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
    wasi_io_poll_pollable_drop_own(ready);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t answer;
    if (!wasi_http_types_method_future_incoming_response_get(awaited, &answer) || answer.is_err)
        return failed(url, "no answer");
    if (answer.val.ok.is_err)
        return failed(url, reason(&answer.val.ok.val.err));

    wasi_http_types_borrow_incoming_response_t response =
        wasi_http_types_borrow_incoming_response(answer.val.ok.val.ok);
    wasi_http_types_status_code_t status = wasi_http_types_method_incoming_response_status(response);
    if (status != 200) {
        fprintf(stderr, "%s answered %d\n", url, status);
        return false;
    }
    if (!read_body(response, text))
        return failed(url, "the answer is cut or too long");
    return true;
}

static uint64_t read_cursor(void) {
    uint64_t seen = 0;
    FILE *file = fopen(CURSOR, "r");
    if (file != NULL) {
        if (fscanf(file, "%" SCNu64, &seen) != 1)
            seen = 0;
        fclose(file);
    }
    return seen;
}

/* By renaming, so that a crash leaves the old cursor or the new one. */
static bool write_cursor(uint64_t seen) {
    FILE *file = fopen(NEXT_CURSOR, "w");
    if (file == NULL)
        return false;
    bool written = fprintf(file, "%" PRIu64 "\n", seen) > 0;
    return fclose(file) == 0 && written && rename(NEXT_CURSOR, CURSOR) == 0;
}

static bool poll(const char *url) {
    uint64_t seen = read_cursor();
    char after[40];
    snprintf(after, sizeof after, "?after=%" PRIu64, seen);
    struct text text = {0};
    if (!get(url, after, &text))
        return false;

    /* Lines of the form {"id": 7, ...}, as they are: of JSON this program knows no more than that. */
    for (size_t begin = 0, end; begin < text.length; begin = end + 1) {
        char *newline = memchr(text.bytes + begin, '\n', text.length - begin);
        end = newline == NULL ? text.length : (size_t)(newline - text.bytes);
        text.bytes[end] = '\0';
        const char *key = strstr(text.bytes + begin, "\"id\":");
        uint64_t id;
        if (key == NULL || sscanf(key, "\"id\": %" SCNu64, &id) != 1) {
            fprintf(stderr, "no event: %s\n", text.bytes + begin);
        } else if (id > seen) {
            puts(text.bytes + begin);
            seen = id;
        }
    }
    /* Only now, when everything is handed over. */
    if (fflush(stdout) != 0 || !write_cursor(seen))
        return failed(CURSOR, "can't be written");
    return true;
}

bool exports_wasi_cli_run_run(void) {
    poller_list_string_t arguments;
    wasi_cli_environment_get_arguments(&arguments);
    if (arguments.len != 2)
        return failed("usage", "poller URL");
    char *url = strndup((char *)arguments.ptr[1].ptr, arguments.ptr[1].len);
    return url != NULL && poll(url);
}
