package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// source is one Go file of the module.
type source struct {
	dir, name string // slash-separated, from the module's root
	test      bool
	ast       *ast.File
}

// room is the package's place below internal/, "" elsewhere.
func (s *source) room() string {
	room, found := strings.CutPrefix(s.dir, "internal/")
	if !found {
		return ""
	}
	return room
}

// tree is the module's Go files, parsed once for all tests.
type tree struct {
	root  string
	fset  *token.FileSet
	files []*source
}

var loadTree = sync.OnceValues(func() (*tree, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, fset: token.NewFileSet()}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return skipDir(root, path)
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		return t.add(path)
	})
	return t, err
})

// house returns the module's files, or ends the test.
func house(t *testing.T) *tree {
	t.Helper()
	h, err := loadTree()
	if err != nil {
		t.Fatalf("read the module: %v", err)
	}
	return h
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fs.ErrNotExist
		}
		dir = up
	}
}

// skipDir leaves out hidden directories, test data and modules of their own.
func skipDir(root, path string) error {
	if path == root {
		return nil
	}
	base := filepath.Base(path)
	if strings.HasPrefix(base, ".") || base == "testdata" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

func (t *tree) add(path string) error {
	f, err := parser.ParseFile(t.fset, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.root, path)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	dir, name := filepath.ToSlash(filepath.Dir(rel)), filepath.Base(rel)
	t.files = append(t.files, &source{dir: dir, name: name, test: strings.HasSuffix(name, "_test.go"), ast: f})
	return nil
}

// breaks reports a broken rule at a place in the module.
func (t *tree) breaks(test *testing.T, at token.Pos, format string, args ...any) {
	test.Helper()
	p := t.fset.Position(at)
	rel, err := filepath.Rel(t.root, p.Filename)
	if err != nil {
		rel = p.Filename
	}
	test.Errorf("%s:%d: "+format, append([]any{filepath.ToSlash(rel), p.Line}, args...)...)
}

// imported is one import of a file.
type imported struct {
	path, as string
	at       token.Pos
}

func imports(f *ast.File) []imported {
	var list []imported
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has taken it, so it is quoted
		}
		as := ""
		if spec.Name != nil {
			as = spec.Name.Name
		}
		list = append(list, imported{path, as, spec.Pos()})
	}
	return list
}

// tracked lists the repository's files; outside of a repository, all files.
func tracked(t *testing.T, root string) []string {
	t.Helper()
	git := exec.Command("git", "ls-files", "-z")
	git.Dir = root
	if out, err := git.Output(); err == nil {
		return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
	}
	var list []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			list = append(list, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("list files: %v", err)
	}
	return list
}
