package server

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/auth"
)

// unsettled are fields of a Config that no reload has to judge: where the
// configuration came from and what was said about it.
var unsettled = []string{"File", "Digest", "HostNamed", "Warnings"}

// another changes a value to some other one.
func another(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.Struct:
		another(v.Field(0))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	default:
		panic("no other value of kind " + v.Kind().String())
	}
}

// TestAReloadJudgesEverySetting changes each field of a configuration: a change
// that a reload does not know would be lost without a word.
func TestAReloadJudgesEverySetting(t *testing.T) {
	judge := func(name string, change func(c *Config)) {
		t.Helper()
		old, next := defaultConfig(), defaultConfig()
		old.HostNamed, next.HostNamed = true, true
		change(next)
		if got := Diff(old, next); len(got) != 1 {
			t.Errorf("a change of %s is seen as %v", name, got)
		}
	}
	of := reflect.TypeFor[Config]()
	for i := range of.NumField() {
		f := of.Field(i)
		if slices.Contains(unsettled, f.Name) {
			continue
		}
		if f.Type.Kind() != reflect.Struct {
			judge(f.Name, func(c *Config) { another(reflect.ValueOf(c).Elem().Field(i)) })
			continue
		}
		for k := range f.Type.NumField() {
			if !f.Type.Field(k).IsExported() {
				continue
			}
			judge(f.Name+"."+f.Type.Field(k).Name, func(c *Config) {
				c.HTTP.HostNamed = f.Name == "HTTP" && f.Type.Field(k).Name == "Host"
				another(reflect.ValueOf(c).Elem().Field(i).Field(k))
			})
		}
	}
}

func TestNothingChangedIsNoChange(t *testing.T) {
	text := "host: 127.0.0.1, jetstream: true, accounts { A { users: [{user: a, password: p, permissions {publish: x}}] } }"
	old, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	next, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if got := Diff(old, next); len(got) != 0 {
		t.Errorf("%v", got)
	}
	next.Accounts[0].Users[0].Permissions.Responses = &auth.Responses{Expires: time.Second}
	if got := Diff(old, next); len(got) != 1 || got[0] != (Change{"accounts", true}) {
		t.Errorf("a permission deep inside: %v", got)
	}
}

func TestTheFirstUserMayComeWithAReload(t *testing.T) {
	old, err := loadText(t, "http: 8222")
	if err != nil {
		t.Fatal(err)
	}
	next, err := loadText(t, "http: 8222, authorization { user: u, password: p }")
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := refuseReload(old, next); err != nil || !slices.Equal(changed, []string{"authorization"}) {
		t.Errorf("%q, %v", changed, err)
	}
	next.HostNamed = true
	if _, err := refuseReload(old, next); err == nil {
		t.Error("a host that was named is taken by a reload")
	}
}
