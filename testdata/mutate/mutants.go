package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mutant is a file with one piece of text replaced.
type mutant struct {
	folder     string // of its package, slashes between
	file       string
	line       int
	start, end int // bytes of the file
	text       string
	old, new   string // as a person reads them
	kind       kind
	result     string // the type of a returned value
}

// kind is how a mutant can be there and not be there, as the program runs.
type kind int

const (
	fixed     kind = iota // it cannot
	condition             // one condition for another
	operand               // one value for another of the same type; both are worked out
	statement             // left out
	returned              // the zero value for another
)

// guarded is what stands in the mutant's place in a program that has it only where
// on says so.
func (m mutant) guarded(on, old string) string {
	switch m.kind {
	case condition:
		return "(" + on + " && (" + m.text + ") || !" + on + " && (" + old + "))"
	case operand:
		return "mutantOperand(" + on + ", " + old + ", " + m.text + ")"
	case statement:
		return "if !" + on + " { " + old + " }"
	}
	return "func(v " + m.result + ") (zero " + m.result + ") { if " + on + " { return }; return v }(" + old + ")"
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s -> %s", filepath.ToSlash(m.file), m.line, m.old, m.new)
}

// source returns the file with the mutation in it.
func (m mutant) source() ([]byte, error) {
	content, err := os.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	return slices.Concat(content[:m.start], []byte(m.text), content[m.end:]), nil
}

// mutantsOf returns all mutants of files and of the packages of folders.
func mutantsOf(names []string) ([]mutant, error) {
	var files []string
	for _, name := range names {
		name = filepath.Clean(name)
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		inFolder, err := filepath.Glob(filepath.Join(name, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range inFolder {
			built, err := build.Default.MatchFile(filepath.Split(file))
			if err != nil {
				return nil, err
			}
			if built && !strings.HasSuffix(file, "_test.go") {
				files = append(files, file)
			}
		}
	}

	var all []mutant
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := mutantsIn(file, content)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// maker collects the mutants of one file.
type maker struct {
	file    string
	content []byte
	tokens  *token.File
	found   []mutant
}

// mutantsIn returns the mutants of one file, none of a generated one.
func mutantsIn(file string, content []byte) ([]mutant, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(parsed) {
		return nil, err
	}
	m := &maker{file: file, content: content, tokens: set.File(parsed.FileStart)}
	var results []*ast.FieldList // of the functions around, the innermost last
	var around []ast.Node
	ast.Inspect(parsed, func(n ast.Node) bool {
		if n == nil {
			switch around[len(around)-1].(type) {
			case *ast.FuncDecl, *ast.FuncLit:
				results = results[:len(results)-1]
			}
			around = around[:len(around)-1]
			return true
		}
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}
		around = append(around, n)
		switch f := n.(type) {
		case *ast.FuncDecl:
			results = append(results, f.Type.Results)
		case *ast.FuncLit:
			results = append(results, f.Type.Results)
		case *ast.ReturnStmt:
			m.returned(f, results[len(results)-1])
		case ast.Expr:
			m.expression(f, around[max(0, len(around)-2)])
		case ast.Stmt:
			m.statement(f, around[max(0, len(around)-2)])
		}
		return true
	})
	return m.found, nil
}

func (m *maker) source(n ast.Node) string {
	return string(m.content[m.tokens.Offset(n.Pos()):m.tokens.Offset(n.End())])
}

// shown is source on one line, cut where it is long.
func shown(source string) string {
	if source = strings.Join(strings.Fields(source), " "); len(source) > 70 {
		source = source[:60] + " ... " + source[len(source)-5:]
	}
	return strings.ToValidUTF8(source, "?")
}

// add adds the mutant that has text from pos to end; old and new are for the
// reader.
func (m *maker) add(kind kind, pos, end token.Pos, text, old, new string) {
	m.found = append(m.found, mutant{
		kind:   kind,
		folder: filepath.ToSlash(filepath.Dir(m.file)), file: m.file, line: m.tokens.Line(pos),
		start: m.tokens.Offset(pos), end: m.tokens.Offset(end), text: text, old: shown(old), new: shown(new),
	})
}

func (m *maker) replace(kind kind, n ast.Node, text string) {
	m.add(kind, n.Pos(), n.End(), text, m.source(n), text)
}

// beside returns the text before and after an expression in what it is a part of,
// where that is short.
func (m *maker) beside(e ast.Expr, parent ast.Node) (before, after string) {
	if parent.End()-parent.Pos() > 60 {
		return "", ""
	}
	text, at := m.source(parent), e.Pos()-parent.Pos()
	return text[:at], text[at+e.End()-e.Pos():]
}

// others are what a binary operator becomes.
var others = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.AND: {token.OR}, token.OR: {token.AND}, token.SHL: {token.SHR}, token.SHR: {token.SHL},
}

func (m *maker) expression(e ast.Expr, parent ast.Node) {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		m.binary(e)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			m.replace(condition, e, m.source(e.X))
		}
	case *ast.BasicLit:
		if n, err := strconv.ParseInt(e.Value, 0, 64); err == nil && e.Kind == token.INT {
			before, after := m.beside(e, parent)
			for _, other := range []int64{n + 1, n - 1} {
				if text := strconv.FormatInt(other, 10); other >= 0 {
					m.add(operand, e.Pos(), e.End(), text, before+e.Value+after, before+text+after)
				}
			}
		}
	case *ast.CallExpr:
		m.set(e)
	case *ast.CompositeLit:
		for i, element := range e.Elts {
			if _, ok := e.Type.(*ast.ArrayType); ok && isLiteral(element) {
				m.drop(e.Elts, i)
			} else if _, ok := e.Type.(*ast.MapType); ok {
				m.drop(e.Elts, i)
			}
		}
	}
}

func (m *maker) binary(e *ast.BinaryExpr) {
	for _, op := range others[e.Op] {
		if op == token.SUB && (isLiteral(e.X) || isLiteral(e.Y)) && !isNumber(e.X) && !isNumber(e.Y) {
			continue // of texts
		}
		kind := condition
		if e.Op.Precedence() > token.LSS.Precedence() {
			kind = operand
			if strings.Contains(m.source(e), "(") {
				kind = fixed // what is called may do something
			}
		}
		at, after := e.OpPos-e.Pos(), e.OpPos-e.Pos()+token.Pos(len(e.Op.String()))
		m.replace(kind, e, m.source(e)[:at]+op.String()+m.source(e)[after:])
	}
	if e.Op == token.LAND || e.Op == token.LOR {
		m.replace(condition, e, m.source(e.X))
		m.replace(condition, e, m.source(e.Y))
	}
}

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok
}

func isNumber(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && (l.Kind == token.INT || l.Kind == token.CHAR)
}

// set drops each character of a set of characters.
func (m *maker) set(call *ast.CallExpr) {
	called, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) != 2 || !slices.Contains([]string{"ContainsAny", "IndexAny", "LastIndexAny", "IndexByte", "ContainsRune", "IndexRune", "Trim", "TrimLeft", "TrimRight"}, called.Sel.Name) {
		return
	}
	for _, arg := range call.Args {
		l, ok := arg.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			continue
		}
		text, err := strconv.Unquote(l.Value)
		if err != nil {
			continue
		}
		for i, c := range text {
			m.replace(operand, l, strconv.Quote(text[:i]+text[i+len(string(c)):]))
		}
	}
}

// drop leaves out one of a list of expressions, which has others.
func (m *maker) drop(list []ast.Expr, i int) {
	switch {
	case len(list) < 2:
	case i+1 < len(list):
		m.add(fixed, list[i].Pos(), list[i+1].Pos(), "", m.source(list[i]), "nothing")
	default:
		m.add(fixed, list[i-1].End(), list[i].End(), "", m.source(list[i]), "nothing")
	}
}

func (m *maker) statement(s ast.Stmt, parent ast.Node) {
	switch s := s.(type) {
	case *ast.IfStmt:
		m.condition(s.Cond, "true", "false")
	case *ast.ForStmt:
		if s.Cond != nil {
			m.condition(s.Cond, "false")
		}
	case *ast.CaseClause:
		for i := range s.List {
			m.drop(s.List, i)
		}
	case *ast.SwitchStmt:
		for _, clause := range s.Body.List {
			for _, value := range clause.(*ast.CaseClause).List {
				if s.Tag == nil {
					m.condition(value, "true", "false")
				}
			}
		}
	case *ast.ExprStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt:
		m.leaveOut(s, parent)
	case *ast.IncDecStmt:
		m.leaveOut(s, parent)
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE {
			m.leaveOut(s, parent)
		}
	case *ast.BranchStmt:
		if s.Tok == token.CONTINUE || s.Tok == token.BREAK {
			m.add(statement, s.Pos(), s.End(), "", m.source(s), "nothing")
		}
	}
}

// condition makes a condition always or never hold. What it names stays used.
func (m *maker) condition(e ast.Expr, values ...string) {
	for _, value := range values {
		op := map[string]string{"true": " || ", "false": " && "}[value]
		m.add(condition, e.Pos(), e.End(), "("+m.source(e)+")"+op+value, m.source(e), value)
	}
}

// leaveOut puts a statement where it is compiled and never run.
func (m *maker) leaveOut(s ast.Stmt, parent ast.Node) {
	kind := fixed // in the head of a loop or of an if
	switch parent.(type) {
	case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
		kind = statement
	}
	m.add(kind, s.Pos(), s.End(), "_ = func() { "+m.source(s)+" }", m.source(s), "nothing")
}

// returned gives each result its type's zero value, and a bool the other one, too.
func (m *maker) returned(s *ast.ReturnStmt, results *ast.FieldList) {
	if len(s.Results) == 0 {
		m.add(statement, s.Pos(), s.End(), "", "return", "nothing")
		return
	}
	var types []string
	for _, field := range results.List {
		for range max(1, len(field.Names)) {
			types = append(types, m.source(field.Type))
		}
	}
	if len(types) != len(s.Results) {
		return // a call that gives all of them
	}
	for i, result := range s.Results {
		switch text := m.source(result); {
		case text == "false" && types[i] == "bool":
			m.replace(condition, result, "true")
		case text == "true" && types[i] == "bool":
			m.replace(condition, result, "false")
		case slices.Contains([]string{"nil", "0", "false", `""`}, text):
		case types[i] == "bool":
			m.replace(condition, result, "("+text+") && false")
			m.replace(condition, result, "("+text+") || true")
		default:
			m.add(returned, result.Pos(), result.End(), "func("+types[i]+") (zero "+types[i]+") { return }("+text+")", "return "+text, "return the zero value")
			m.found[len(m.found)-1].result = types[i]
		}
	}
}
