# mime
