# Writes a .cc that holds every migration file of one service as a table of (name, text), sorted by name.
list(SORT FILES)
file(WRITE ${OUT} "// Generated from migrations/*.sql.\n#include \"storage/migrations.h\"\n\nnamespace ${NAMESPACE} {\n"
  "extern const vedette::storage::MigrationFile kMigrationFiles[];\nextern const int kMigrationFileCount;\n"
  "const vedette::storage::MigrationFile kMigrationFiles[] = {\n")
set(count 0)
foreach(f IN LISTS FILES)
  file(READ ${f} text)
  cmake_path(GET f FILENAME name)
  # A raw string may be at most 64 KiB in some compilers; migrations stay far below.
  file(APPEND ${OUT} "    {\"${name}\", R\"~~sql~~(${text})~~sql~~\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(APPEND ${OUT} "};\nconst int kMigrationFileCount = ${count};\n}  // namespace ${NAMESPACE}\n")
