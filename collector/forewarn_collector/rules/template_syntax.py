"""The syntax of Go templates: text to a tree, or an error with its place.

Source: https://pkg.go.dev/text/template. Unknown functions and variables are errors here, not
at run time, as in Go.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from forewarn_collector.rules.template_nodes import (
    Action,
    Branch,
    Command,
    Dot,
    Field,
    Function,
    Include,
    Jump,
    Literal,
    Node,
    Operand,
    Pipe,
    TemplateError,
    Text,
    Tree,
    Variable,
)

_COMMENT = re.compile(r"\s*/\*.*?\*/\s*", re.S)
# Possessive and atomic: a quote that is never closed must not be tried in every other way.
_PIECE = re.compile(
    r"""\{\{(?:-(?=\s))?
    (?P<inside>\s*/\*.*?\*/\s*-?
    | (?>"(?:\\.|[^"\\\n])*+"|`[^`]*+`|'(?:\\.|[^'\\\n])++'|(?!\}\})[^"`'])*+)
    \}\}""",
    re.S | re.X,
)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<text>"(?:\\.|[^"\\\n])*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:\\.|[^'\\\n])+')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+
        | (?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))
    | (?P<variable>\$\w*)
    | (?P<field>\.[^\W\d]\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>:=|[=|(),.])""",
    re.X,
)
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def parse(text: str, functions: Collection[str], variables: Collection[str]) -> Tree:
    """Read a template that may use these functions and variables (with `$`).

    Raises TemplateError with the offset of what is wrong.
    """
    try:
        return _Parser(text, functions, variables).tree()
    except RecursionError:
        raise TemplateError("the template is nested too deeply") from None


class _Parser:
    def __init__(self, text: str, functions: Collection[str], variables: Collection[str]) -> None:
        self._text = text
        self._functions = functions
        self._scope = ["$", *variables]
        self._tree = Tree()
        self._pieces = self._split()
        self._next = 0
        self._tokens: list[_Token] = []
        self._depth = 0
        self._loops = 0
        self._closed = 0

    def tree(self) -> Tree:
        nodes, word = self._nodes()
        if word is not None:
            raise TemplateError(f"unexpected {{{{{word.text}}}}}", word.start)
        self._tree.nodes = nodes
        return self._tree

    # Pieces: text, and actions as lists of tokens.

    def _split(self) -> list[str | list[_Token]]:
        pieces: list[str | list[_Token]] = []
        end = 0
        trims = False
        while (start := self._text.find("{{", end)) >= 0:
            match = _PIECE.match(self._text, start)
            if match is None:
                raise TemplateError("unclosed action: '{{' without '}}'", start)
            before = self._text[end:start]
            before = before.lstrip() if trims else before
            inside = match["inside"]
            pieces.append(
                before.rstrip() if match[0].startswith("{{-") and inside[:1].isspace() else before
            )
            trims = inside.endswith("-") and inside[-2:-1].isspace()
            inside = inside[:-1] if trims else inside
            if not _COMMENT.fullmatch(inside):
                pieces.append(self._lex(inside, match.start("inside")))
            end = match.end()
        pieces.append(self._text[end:].lstrip() if trims else self._text[end:])
        return pieces

    def _lex(self, inside: str, start: int) -> list[_Token]:
        tokens = []
        position = 0
        while position < len(inside):
            match = _TOKEN.match(inside, position)
            if match is None:
                wrong = f"unexpected {inside[position]!r} in an action"
                raise TemplateError(wrong, start + position)
            if match.lastgroup != "space":
                tokens.append(_Token(str(match.lastgroup), match[0], start + position))
            position = match.end()
        tokens.append(_Token("end", "", start + len(inside)))
        return tokens

    # Nodes.

    def _nodes(self) -> tuple[tuple[Node, ...], _Token | None]:
        """Nodes up to an `end` or `else` that is not theirs (returned), or to the text's end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TemplateError("the template is nested too deeply", None)
        nodes: list[Node] = []
        closing = None
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            if isinstance(piece, str):
                if piece:
                    nodes.append(Text(piece))
                continue
            self._tokens = piece
            if self._tokens[0].text in {"end", "else"}:
                closing = self._take()
                break
            node = self._node()
            if node is not None:
                nodes.append(node)
        self._depth -= 1
        return tuple(nodes), closing

    def _node(self) -> Node | None:
        first = self._tokens[0]
        if first.kind == "word" and first.text in {"if", "with", "range"}:
            return self._branch(self._take())
        if first.kind == "word" and first.text in {"break", "continue"}:
            if not self._loops:
                raise TemplateError(f"{{{{{first.text}}}}} outside {{{{range}}}}", first.start)
            self._take()
            self._end_of_action()
            return Jump(first.text)
        if first.kind == "word" and first.text in {"define", "template", "block"}:
            return self._named(self._take())
        pipe = self._pipe(first)
        self._end_of_action()
        return Action(pipe)

    def _branch(self, word: _Token) -> Branch:
        outside = len(self._scope)
        pipe = self._pipe(word, word.text == "range")
        self._end_of_action()
        self._loops += word.text == "range"
        body, closing = self._nodes()
        self._loops -= word.text == "range"
        otherwise: tuple[Node, ...] = ()
        if closing is not None and closing.text == "else":
            after = self._tokens[0]
            if after.kind == "word" and after.text == word.text and word.text != "range":
                # `else if` shares the outer `end`, and so does `else with`.
                otherwise = (self._branch(self._take()),)
                del self._scope[outside:]
                return Branch(word.text, pipe, body, otherwise)
            self._end_of_action()
            otherwise, closing = self._nodes()
        if closing is None or closing.text != "end":
            raise TemplateError(f"{{{{{word.text}}}}} without {{{{end}}}}", word.start)
        self._end_of_action()
        del self._scope[outside:]
        return Branch(word.text, pipe, body, otherwise)

    def _named(self, word: _Token) -> Include | None:
        token = self._take()
        if token.kind not in {"text", "raw"}:
            raise TemplateError(f"{word.text} needs a name in quotes", token.start)
        name = str(_constant(token))
        pipe = None if self._tokens[0].kind == "end" else self._pipe(word)
        self._end_of_action()
        if word.text == "template":
            return Include(name, pipe)
        # A template of its own sees none of the variables around it, only `$`.
        scope, self._scope = self._scope, ["$"]
        nodes, closing = self._nodes()
        self._scope = scope
        if closing is None or closing.text != "end":
            raise TemplateError(f"{{{{{word.text}}}}} without {{{{end}}}}", word.start)
        self._end_of_action()
        self._tree.defined[name] = nodes
        return Include(name, pipe) if word.text == "block" else None

    # Within an action.

    def _take(self) -> _Token:
        token = self._tokens[0]
        if token.kind != "end":
            del self._tokens[0]
        return token

    def _end_of_action(self) -> None:
        token = self._tokens[0]
        if token.kind != "end":
            raise TemplateError(f"unexpected {token.text!r} in an action", token.start)

    def _pipe(self, where: _Token, two: bool = False) -> Pipe:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TemplateError("the template is nested too deeply", where.start)
        names, assigns = self._declaration(two)
        commands = [self._command(where)]
        while self._tokens[0].text == "|" and self._tokens[0].kind == "sign":
            bar = self._take()
            commands.append(self._command(bar))
            if not isinstance(commands[-1].operands[0], (Function, Field)):
                raise TemplateError("only a function can follow '|'", bar.start)
        if not assigns:
            self._scope += names
        self._depth -= 1
        return Pipe(tuple(commands), names, assigns)

    def _declaration(self, two: bool) -> tuple[tuple[str, ...], bool]:
        kinds = [(token.kind, token.text) for token in self._tokens[:4]]
        count = 1
        if two and kinds[0][0] == "variable" and kinds[1:2] == [("sign", ",")]:
            count = 3
        if kinds[0][0] != "variable" or kinds[count : count + 1] not in (
            [("sign", ":=")],
            [("sign", "=")],
        ):
            return (), False
        tokens = self._tokens[: count + 1]
        del self._tokens[: count + 1]
        names = tuple(token.text for token in tokens[:-1:2])
        assigns = tokens[-1].text == "="
        if assigns:
            for token in tokens[:-1:2]:
                self._known(token)
        return names, assigns

    def _command(self, where: _Token) -> Command:
        operands: list[Operand] = []
        start = end = self._tokens[0].start
        while (token := self._tokens[0]).kind != "end" and token.text not in {"|", ")"}:
            if operands and token.start == end:
                raise TemplateError(f"unexpected {token.text!r}; put a space before it", end)
            operand, end = self._operand()
            operands.append(operand)
        if not operands:
            raise TemplateError("missing value", where.start)
        if len(operands) > 1 and not isinstance(operands[0], (Function, Field)):
            raise TemplateError("only a function can be given arguments", start)
        if operands == [Literal(None)]:
            raise TemplateError("nil is not a command", start)
        return Command(tuple(operands), self._text[start:end])

    def _operand(self) -> tuple[Operand, int]:
        token = self._take()
        operand = self._simple(token)
        end = token.end if token.text != "(" else self._closed
        names = []
        while self._tokens[0].kind == "field" and self._tokens[0].start == end:
            names.append(self._tokens[0].text[1:])
            end = self._take().end
        if isinstance(operand, Field):
            return Field(operand.of, (*operand.names, *names)), end
        if names and isinstance(operand, (Literal, Function)):
            raise TemplateError(f"{token.text} has no fields", token.start)
        return (Field(operand, tuple(names)) if names else operand), end

    def _simple(self, token: _Token) -> Operand:
        if token.kind == "variable":
            return self._known(token)
        if token.kind == "field":
            return Field(Dot(), (token.text[1:],))
        if token.kind in {"text", "raw", "char", "number"}:
            return Literal(_constant(token))
        if token.kind == "word":
            if token.text in _WORDS:
                return Literal(_WORDS[token.text])
            if token.text not in self._functions:
                raise TemplateError(f"function {token.text!r} not defined", token.start)
            return Function(token.text)
        if token.text == ".":
            return Dot()
        if token.text == "(":
            pipe = self._pipe(token)
            closing = self._take()
            if closing.text != ")":
                raise TemplateError("'(' without ')'", token.start)
            self._closed = closing.end
            return pipe
        raise TemplateError(f"unexpected {token.text or 'end'!r} in an action", token.start)

    def _known(self, token: _Token) -> Variable:
        if token.text not in self._scope:
            raise TemplateError(f"undefined variable {token.text!r}", token.start)
        return Variable(token.text)


_WORDS = {"true": True, "false": False, "nil": None}
_ESCAPE = re.compile(
    r"""\\(?:(?P<letter>[abfnrtv\\'"])
    | (?P<octal>[0-3][0-7]{2})
    | (?:x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))
    | (?P<unknown>.?))""",
    re.S | re.X,
)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _constant(token: _Token) -> Any:
    """The value of a constant. A char is its code point; 1e3 and 1.0 are floats, as in Go."""
    try:
        if token.kind == "raw":
            return token.text[1:-1]
        if token.kind == "text":
            return _ESCAPE.sub(_unescape, token.text[1:-1])
        if token.kind == "char":
            return ord(_ESCAPE.sub(_unescape, token.text[1:-1]))
        digits = token.text.replace("_", "").lower()
        if "x" in digits:
            return int(digits, 16)
        return float(digits) if any(sign in digits for sign in ".e") else int(digits)
    except (ValueError, TypeError):
        raise TemplateError(f"bad constant {token.text}", token.start) from None


def _unescape(match: re.Match[str]) -> str:
    if match["letter"]:
        return _LETTERS.get(match["letter"], match["letter"])
    if match["octal"]:
        return chr(int(match["octal"], 8))
    digits = match["byte"] or match["short"] or match["long"]
    if digits:
        return chr(int(digits, 16))
    raise ValueError("unknown escape")
