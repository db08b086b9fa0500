#include "cli/command.h"

int main(int argc, char** argv) { return vedette::cli::Main(argc, argv); }
