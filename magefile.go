//go:build ignore

// Runs kindgate's targets where mage is not installed: go run magefile.go up.
package main

import (
	"os"

	"github.com/magefile/mage/mage"
)

func main() { os.Exit(mage.Main()) }
