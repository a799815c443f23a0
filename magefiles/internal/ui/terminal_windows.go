package ui

import (
	"os"

	"golang.org/x/sys/windows"
)

// EnableTerminal makes a console understand escape sequences, and tells whether it does.
func EnableTerminal(file *os.File) bool {
	var mode uint32
	handle := windows.Handle(file.Fd())
	return windows.GetConsoleMode(handle, &mode) == nil &&
		windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
