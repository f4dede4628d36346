package archtest

import (
	"go/ast"
	"testing"
)

func TestFilesAndFunctionsStayShort(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		if ast.IsGenerated(f.ast) {
			continue
		}
		if lines := h.fset.File(f.ast.Package).LineCount(); lines > longestFile {
			h.breaks(t, f.ast.Package, "the file has %d lines, more than %d", lines, longestFile)
		}
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := h.fset.Position(fn.End()).Line - h.fset.Position(fn.Pos()).Line + 1
			if lines > longestFunction {
				h.breaks(t, fn.Pos(), "%s has %d lines, more than %d", fn.Name.Name, lines, longestFunction)
			}
		}
	}
}
