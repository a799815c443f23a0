//go:build ignore

// typecheck checks the types of the project's packages, and of their tests, for each system that it is given the GOOS of. It ends with 1 where one would
// not compile. To compile what they depend on for each system takes minutes, and finds no more: of that, only the declarations are read.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	root, err := filepath.Abs(".")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	status := 0
	for _, goos := range os.Args[1:] {
		fmt.Println("checking the types for", goos)
		all, err := packages.Load(&packages.Config{
			Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
				packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax,
			Env: append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0"), BuildFlags: []string{"-tags=mage"}, Tests: true,
			ParseFile: func(files *token.FileSet, name string, text []byte) (*ast.File, error) {
				file, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution|parser.ParseComments)
				if file != nil && !strings.HasPrefix(name, root+string(filepath.Separator)) {
					withoutBodies(file)
				}
				return file, err
			},
		}, "./magefiles/...")
		if err == nil && len(all) < 20 {
			err = fmt.Errorf("only %d packages were found", len(all))
		}
		if err != nil {
			fmt.Println(err)
			status = 1
		}
		for _, p := range all {
			if strings.HasSuffix(p.ID, ".test") {
				continue // the main package of tests, which go makes
			}
			for _, problem := range p.Errors {
				fmt.Println(problem)
				status = 1
			}
		}
	}
	os.Exit(status)
}

func withoutBodies(file *ast.File) {
	for _, declaration := range file.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok {
			function.Body = nil
		}
	}
}
