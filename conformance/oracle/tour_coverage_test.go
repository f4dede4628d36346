package oracle_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/jsm.go"
)

// managementLibrary is the module that the tours drive.
const managementLibrary = "github.com/nats-io/jsm.go"

// asksNobody is why functions are not driven that only work with what they are given.
const asksNobody = "it asks no server"

// undriven are the functions of the library that no tour calls, with the reason.
var undriven = map[string]string{
	"APISubject": asksNobody, "EventSubject": asksNobody, "StripAPISubject": asksNobody, "FilterServerMetadata": asksNobody,
	"IsInternalStream": asksNobody, "IsKVBucketStream": asksNobody, "IsMQTTStateStream": asksNobody, "IsObjectBucketStream": asksNobody,
	"IsNatsError": asksNobody, "IsValidName": asksNobody, "LinearBackoffPeriods": asksNobody, "ParseDuration": asksNobody,
	"ServerCidString": asksNobody, "ServerKindString": asksNobody, "SubjectIsSubsetMatch": asksNobody, "NewStreamConfiguration": asksNobody,
}

// undrivenMethods are the same of methods.
var undrivenMethods = map[string]string{
	"Stream.DeleteMessage":     "deprecated: DeleteMessageRequest makes the request",
	"Stream.FastDeleteMessage": "as above",
}

// packages are those of the library that the tours use, or the reason why not.
var packages = map[string]string{
	"": "", "api": "", "balancer": "", "monitor": "", "registry": "", "schemas": "",
	"api/event": "its events come by way of the registry", "api/jetstream/advisory": "as above", "api/jetstream/metric": "as above",
	"registry/validator":     "the interface that schemaValidator is",
	"api/server/advisory":    "events of a system account, not of JetStream",
	"api/server/metric":      "as above",
	"api/server/tracing":     "as above",
	"api/server/zmonitor":    "as above",
	"audit":                  "it reads an archive of a system account's answers",
	"audit/archive":          "as above",
	"audit/gather":           "it asks a system account",
	"serverdata":             "as above",
	"connbalancer":           "it asks a system account to close connections of a cluster",
	"backup":                 "it reads nats-server's own format of backups from files",
	"natscontext":            "it keeps a person's settings in files",
	"natscontext/svcbackend": "as above",
	"natscontext/svcbackend/internal/testserver": "as above",
	"natscontext/backendtest":                    "as above",
	"test":                                       "the library's own tests",
}

// checkTheLibraryIsDriven fails for what the library exports and neither a tour calls
// nor a table names, and for what a table names for nothing.
func checkTheLibraryIsDriven(t *testing.T) {
	used, imported := mentioned(t)
	for _, v := range []any{&jsm.Manager{}, &jsm.Stream{}, &jsm.Consumer{}, &jsm.StreamPager{}, &jsm.MsgInfo{}} {
		of := reflect.TypeOf(v)
		for i := range of.NumMethod() {
			name := of.Elem().Name() + "." + of.Method(i).Name
			if driven[name] == (undrivenMethods[name] != "") && !slices.Contains([]string{"Lock", "Unlock", "TryLock"}, of.Method(i).Name) {
				t.Errorf("%s: a tour calls it: %v; the reason why not: %q", name, driven[name], undrivenMethods[name])
			}
		}
	}
	dir := libraryDir(t)
	exported := exportedFunctions(t, dir)
	for _, name := range exported {
		if known := driven[name] || used[name]; known == (undriven[name] != "") {
			t.Errorf("%s: a tour uses it: %v; the reason why not: %q", name, known, undriven[name])
		}
	}
	for name := range undriven {
		if !slices.Contains(exported, name) {
			t.Errorf("the library has no %s", name)
		}
	}
	checkPackages(t, dir, imported)
}

func checkPackages(t *testing.T, dir string, imported map[string]bool) {
	t.Helper()
	there := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") {
			rel, _ := filepath.Rel(dir, filepath.Dir(path))
			there[strings.TrimPrefix(rel, ".")] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range there {
		if reason, known := packages[p]; !known || imported[p] != (reason == "") {
			t.Errorf("package %q: used %v, listed %v, reason %q", p, imported[p], known, reason)
		}
	}
	for p := range packages {
		if !there[p] {
			t.Errorf("the library has no package %q", p)
		}
	}
}

func libraryDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", managementLibrary).Output()
	if err != nil {
		t.Fatalf("find %s: %v", managementLibrary, err)
	}
	return strings.TrimSpace(string(out))
}

// exportedFunctions are those of the library's first package that have no receiver.
func exportedFunctions(t *testing.T, dir string) (out []string) {
	t.Helper()
	for _, f := range parsed(t, filepath.Join(dir, "*.go")) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.IsExported() && !slices.Contains(out, fn.Name.Name) {
				out = append(out, fn.Name.Name)
			}
		}
	}
	return out
}

// mentioned are the names of the library's first package in these tests, and the
// library's packages that they import.
func mentioned(t *testing.T) (names, imported map[string]bool) {
	t.Helper()
	names, imported = map[string]bool{}, map[string]bool{}
	for _, f := range parsed(t, "*_test.go") {
		for _, i := range f.Imports {
			if p, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), managementLibrary); ok {
				imported[strings.TrimPrefix(p, "/")] = true
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "jsm" {
					names[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	return names, imported
}

// parsed reads Go files, without the tests of another package.
func parsed(t *testing.T, pattern string) (out []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if filepath.Dir(p) != "." && strings.HasSuffix(p, "_test.go") {
			continue
		}
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}
