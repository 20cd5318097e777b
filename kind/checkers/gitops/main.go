// What GitOps tools make of objects: the status that kstatus computes (Flux, Helm), and what scripts for Argo CD return.
// Tests send one JSON document to stdin, with objects and the scripts that argocd-cm has:
//
//	{"objects": [...], "health": "LUA", "discovery": "LUA", "actions": {"NAME": "LUA"}}
//
// and read a list with one result for each object:
//
//	[{"kstatus": "Current", "health": {"status": "Healthy"}, "discovered": {...}, "after": {"NAME": {...}}}]
//
// "after" has the object that each action returns.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

type input struct {
	Objects   []map[string]any  `json:"objects"`
	Health    string            `json:"health"`
	Discovery string            `json:"discovery"`
	Actions   map[string]string `json:"actions"`
}

type result struct {
	Kstatus    status.Status              `json:"kstatus"`
	Health     json.RawMessage            `json:"health"`
	Discovered json.RawMessage            `json:"discovered"`
	After      map[string]json.RawMessage `json:"after"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var given input
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return err
	}
	results := make([]result, 0, len(given.Objects))
	for _, object := range given.Objects {
		one, err := look(object, given)
		if err != nil {
			return err
		}
		results = append(results, one)
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

func look(object map[string]any, given input) (result, error) {
	computed, err := status.Compute(&unstructured.Unstructured{Object: wholeNumbers(object).(map[string]any)})
	if err != nil {
		return result{}, fmt.Errorf("kstatus: %w", err)
	}
	found := result{Kstatus: computed.Status, After: map[string]json.RawMessage{}}
	if found.Health, err = returned(object, given.Health); err != nil {
		return result{}, fmt.Errorf("health: %w", err)
	}
	if found.Discovered, err = returned(object, given.Discovery); err != nil {
		return result{}, fmt.Errorf("discovery: %w", err)
	}
	for name, script := range given.Actions {
		if found.After[name], err = returned(object, script); err != nil {
			return result{}, fmt.Errorf("action %s: %w", name, err)
		}
	}
	return found, nil
}

// wholeNumbers has int64 for whole numbers, as clients of Kubernetes decode objects.
func wholeNumbers(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(typed))
		for key, each := range typed {
			copied[key] = wholeNumbers(each)
		}
		return copied
	case []any:
		copied := make([]any, len(typed))
		for i, each := range typed {
			copied[i] = wholeNumbers(each)
		}
		return copied
	case float64:
		if typed == float64(int64(typed)) {
			return int64(typed)
		}
	}
	return value
}

// returned is the table that a script returns, as JSON. The script runs as in Argo CD with useOpenLibs false: it has the
// global obj, the libraries base, package and table, date and time of os, and one second.
func returned(object map[string]any, script string) (json.RawMessage, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, openTimes)
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limited)
	state.SetGlobal("obj", luaValue(state, object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	table, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return nil, fmt.Errorf("the script returns %s, not a table", state.Get(-1).Type())
	}
	return luajson.Encode(table)
}

// openTimes is the module os with date and time only.
func openTimes(state *lua.LState) int {
	lua.OpenOs(state)
	whole := state.CheckTable(-1)
	times := state.NewTable()
	for _, name := range []string{"date", "time"} {
		times.RawSetString(name, whole.RawGetString(name))
	}
	state.SetGlobal(lua.OsLibName, lua.LNil)
	state.Push(times)
	return 1
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch typed := value.(type) {
	case map[string]any:
		table := state.CreateTable(0, len(typed))
		for key, each := range typed {
			table.RawSetString(key, luaValue(state, each))
		}
		return table
	case []any:
		table := state.CreateTable(len(typed), 0)
		for _, each := range typed {
			table.Append(luaValue(state, each))
		}
		return table
	case string:
		return lua.LString(typed)
	case bool:
		return lua.LBool(typed)
	case float64:
		return lua.LNumber(typed)
	}
	return lua.LNil
}
