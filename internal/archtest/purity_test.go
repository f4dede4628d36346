package archtest

import (
	"go/ast"
	"slices"
	"testing"
)

func TestPurePackagesTouchNoClockFileOrNetwork(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		if f.test || f.room() == "" || !in(pure, f.room()) {
			continue
		}
		for _, im := range imports(f.ast) {
			if slices.Contains(impureImports, im.path) {
				h.breaks(t, im.at, "pure package %s imports %s", f.dir, im.path)
			}
		}
		eachSelector(f.ast, "time", func(sel *ast.SelectorExpr) {
			if slices.Contains(impureTime, sel.Sel.Name) {
				h.breaks(t, sel.Pos(), "pure package %s uses time.%s: it takes now as an argument", f.dir, sel.Sel.Name)
			}
		})
	}
}

func TestTestsDoNotWaitOnTime(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		if !f.test {
			continue
		}
		eachSelector(f.ast, "time", func(sel *ast.SelectorExpr) {
			if sel.Sel.Name == "Sleep" {
				h.breaks(t, sel.Pos(), "a test sleeps: wait on a condition or a channel with a deadline")
			}
		})
	}
}

// eachSelector visits uses of an imported package's names. Packages are known by
// their usual name: no file here renames time.
func eachSelector(f *ast.File, pkg string, visit func(*ast.SelectorExpr)) {
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
			visit(sel)
		}
		return true
	})
}

func TestGoroutinesStartWhereTheyAreJoined(t *testing.T) {
	h := house(t)
	for _, f := range h.files {
		if f.test || in(mayStart, f.dir) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				h.breaks(t, g.Pos(), "%s starts a goroutine; packages that may are listed in rules_test.go", f.dir)
			}
			return true
		})
	}
}
