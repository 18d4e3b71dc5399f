/*
 * Prints chosen fields of a file that looks like /proc/meminfo, one a line.
 *
 *   meminfo FILE FIELD...
 *
 * Exits with 1 if the file can't be read, with 2 if a field is not in it: the log then says so.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Looks for "FIELD:   VALUE [kB]" from the file's beginning on. */
static bool print_field(FILE *file, const char *field)
{
    char line[256];
    size_t length = strlen(field);

    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long value;

        if (strncmp(line, field, length) != 0 || line[length] != ':') {
            continue;
        }
        if (sscanf(line + length + 1, "%llu", &value) == 1) {
            printf("%s %llu\n", field, value);
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s FILE FIELD...\n", argv[0]);
        return 1;
    }

    FILE *file = fopen(argv[1], "r");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }

    int status = 0;
    for (int i = 2; i < argc; i++) {
        if (!print_field(file, argv[i])) {
            fprintf(stderr, "%s: there is no %s\n", argv[1], argv[i]);
            status = 2;
        }
    }
    fclose(file);
    return status;
}
