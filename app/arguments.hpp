#pragma once
// llama-swap's command line, made ours: its users have `llama-swap -config x -listen :8080` in
// scripts and units, and switch by changing one word. Pure; any thread.

#include <string>
#include <vector>

namespace corral {

/// Turns the words after the program name into what CLI11 reads: `-config x`, `-config=x`,
/// `--config x` become `--config x`, and `serve` is put in front when no command is named.
/// `-version` and `--version` stand alone. Words after `--` are left as they are.
[[nodiscard]] std::vector<std::string> normalize_arguments(std::vector<std::string> words);

}  // namespace corral
