//go:build !windows

package ui

import "os"

// EnableTerminal tells whether a terminal understands escape sequences: here all do.
func EnableTerminal(*os.File) bool { return true }
