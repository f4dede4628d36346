package archtest

import (
	"go/ast"
	"strings"
	"testing"
)

func TestEveryDecoderIsFuzzed(t *testing.T) {
	h := house(t)
	fuzzed := map[string]map[string]bool{} // by directory: names that files with fuzz tests mention
	for _, f := range h.files {
		if f.test && hasFuzz(f.ast) {
			if fuzzed[f.dir] == nil {
				fuzzed[f.dir] = map[string]bool{}
			}
			mention(f.ast, fuzzed[f.dir])
		}
	}
	for _, f := range h.files {
		if !f.test && fuzzed[f.dir] != nil {
			mentionCallees(f.ast, fuzzed[f.dir])
		}
	}
	for _, f := range h.files {
		if f.test || f.room() == "" || !in(decoders, f.room()) {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !isDecoder(f.room(), fn.Name.Name) {
				continue
			}
			if !fuzzed[f.dir][fn.Name.Name] {
				h.breaks(t, fn.Pos(), "decoder %s has no fuzz test in its package", fn.Name.Name)
			}
		}
	}
}

func isDecoder(room, name string) bool {
	return strings.HasPrefix(name, "Decode") || strings.HasPrefix(name, "Parse") || moreDecoders[room] == name
}

func hasFuzz(f *ast.File) bool {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
			return true
		}
	}
	return false
}

func mention(f *ast.File, names map[string]bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			names[id.Name] = true
		}
		return true
	})
}

// mentionCallees adds what a fuzzed function itself calls: it is a wrapper, or a
// decoder made of decoders. names that this adds are not followed further.
func mentionCallees(f *ast.File, names map[string]bool) {
	var more []ast.Node
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && names[fn.Name.Name] {
			more = append(more, fn.Body)
		}
	}
	for _, body := range more {
		ast.Inspect(body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				mentionCall(call, names)
			}
			return true
		})
	}
}

func mentionCall(call *ast.CallExpr, names map[string]bool) {
	switch fn := call.Fun.(type) {
	case *ast.Ident:
		names[fn.Name] = true
	case *ast.SelectorExpr:
		names[fn.Sel.Name] = true
	}
}
