"""Programs as models write them: where the code stands, what a language offers, and what a program may do to its streams."""

# ruff: noqa: E501 - a program, or an answer, is easier to read on one line
from __future__ import annotations

import numpy as np
import pytest

from sharpen import sandbox
from sharpen.core import Task, UserError
from sharpen.verify import verify
from sharpen.verify.code import comparing, java, languages, problem_of

LEVEL = sandbox.probe()
BELOW, REASON = np.__file__.startswith("/tmp/"), "packages below /tmp are not shown to programs"
boxed = pytest.mark.skipif(LEVEL.level != "full", reason=f"the sandbox is only {LEVEL.level}: {'; '.join(LEVEL.reasons)}")

ECHOED = [{"stdin": "3\n", "stdout": "3\n"}]
TOTAL = {"function": {"name": "total"}, "tests": [{"args": [[1, 2]], "returns": 3}]}


def fenced(code, language="python"):
    return f"```{language}\n{code}\n```"


def judge(response, language="python", **data):
    if reason := languages.missing(language):
        pytest.skip(reason)
    data = {"language": language, "tests": ECHOED, **data}
    return verify(Task(({"role": "user", "content": "?"},), None, "f", 1, verifier="code_io", data=data), response)


SOL = fenced("def total(a):\n    return sum(a)")
ECHO = fenced("print(input())")


@boxed
@pytest.mark.parametrize(
    "response",
    (
        SOL + "\n\nOutput:\n```\n3\n```",
        SOL + "\n\nExample:\n```python\nprint(total([1, 2]))\n```",
        SOL + "\n\n```python\nassert total([1,2])==3\n```",
        "1. Code:\n\n   ```python\n   def total(a):\n       return sum(a)\n   ```\n",
        "- x\n\n      ```python\n      def total(a):\n          return sum(a)\n      ```",
        "\t```python\n\tdef total(a):\n\t    return sum(a)\n\t```",
        "````markdown\n" + SOL + "\n````",
        "```md\n~~~python\ndef total(a): return sum(a)\n~~~\n```",
        '```python\ndef total(a):\n    """\n    ```\n    total([1])\n    ```\n    """\n    return sum(a)\n```',
        "```\ndef total(a): return sum(a)\n```\nOutput:\n```\n3\n```",
        "<think>```python\ndef total(a): return 1\n```</think>" + SOL,
        "<think>\n```python\nx</think>\n" + SOL,
        "<thinking>```python\ndef total(a): return 1```</thinking>\n" + SOL,
        SOL + "\n```bash\npython x.py\n```",
        "```python\ndef total(a): return 1\n```\nBetter:\n" + SOL,
        SOL.replace("python", "py"),
        SOL.replace("```python", "```Python3"),
        SOL.replace("```python", '```python title="a.py"'),
        SOL.replace("```python", "```{.python}"),
        fenced("class Solution:\n    def total(self, a: List[int]) -> int:\n        return sum(a)"),
        fenced("class Solution:\n    @staticmethod\n    def total(a):\n        return sum(a)"),
        fenced(
            "class Solution(object):\n    def helper(self,a): return sum(a)\n    def total(self, a):\n        return self.helper(a)"
        ),
        fenced(
            "from typing import Optional\nclass Solution:\n    def total(self, a: Optional[List[int]]):\n        d = defaultdict(int); return sum(a)"
        ),
        "def total(a):\n    return sum(a)",
        "```python\r\ndef total(a):\r\n    return sum(a)\r\n```",
        fenced("class Solution:\n    def total(self,a): return sum(a)\n\nprint(Solution().total([1]))"),
        SOL + "\nTime complexity:\n```\nO(n)\n```",
        pytest.param(
            fenced("import numpy as np\ndef total(a): return int(np.sum(a))"), marks=pytest.mark.skipif(BELOW, reason=REASON)
        ),
        SOL + "\n\nTest:\n```python\nfrom solution import total\nprint(total([1,2]))\n```",
    ),
)
def test_the_block_that_defines_the_function(response):
    verdict = judge(response, **TOTAL)
    assert verdict.correct, verdict


@boxed
@pytest.mark.parametrize(
    "response",
    (
        "<think>" + SOL,
        "<think>" + SOL + "</think>",
        "<thinking>\n" + SOL + "\nmaybe",
        fenced("class Solution:\n    def totl(self,a): return sum(a)"),
        fenced("class Solution:\n    def total(self,a): return 1"),
    ),
)
def test_thoughts_and_other_names_are_no_function(response):
    assert not judge(response, **TOTAL).correct


@boxed
@pytest.mark.parametrize(
    "response",
    (
        ECHO + "\nOutput:\n```\n3\n```",
        ECHO + "\n\nExample usage:\n```python\nsolve('3')\n```",
        ECHO + "\nRun it with\n```bash\necho 3 | python a.py\n```",
        ECHO + "\n**Input:**\n```\n3\n```\n**Output:**\n```\n3\n```",
        "```\nprint(input())\n```\nInput:\n```\n3\n```",
        "<think>" + fenced("print(1)") + "</think>" + ECHO,
        "Here's an example solution:\n" + ECHO,
        "For the expected output:\n" + ECHO,
    ),
)
def test_the_block_that_is_the_program(response):
    verdict = judge(response)
    assert verdict.correct, verdict


READING_DEV_STDIN = [
    ("python", "print(open('/dev/stdin').read().strip())"),
    ("python", "for line in open('/proc/self/fd/0'): print(line.strip())"),
    ("bash", "cat /dev/stdin"),
    ("bash", "while read -r x; do echo $x; done < /dev/stdin"),
    ("bash", "awk '{print $1}' /dev/stdin > /dev/stdout"),
    ("bash", "cat < /dev/fd/0 | tee /dev/stderr"),
    ("perl", "open(my $f, '<', '/dev/stdin') or die; print <$f>;"),
    ("javascript", "console.log(require('fs').readFileSync('/dev/stdin', 'utf8').trim())"),
    ("javascript", "require('fs').createReadStream('/dev/stdin').on('data', (d) => process.stdout.write(d))"),
    ("c", '#include <stdio.h>\nint main(void){int x;FILE*f=fopen("/dev/stdin","r");fscanf(f,"%d",&x);printf("%d\\n",x);}'),
    (
        "cpp",
        '#include <fstream>\n#include <iostream>\nint main(){std::ifstream f("/dev/stdin");int x;f>>x;std::cout<<x<<"\\n";}',
    ),
    ("rust", 'fn main(){print!("{}", std::fs::read_to_string("/dev/stdin").unwrap());}'),
    (
        "java",
        "import java.nio.file.*;\npublic class A { public static void main(String[] a) throws Exception {"
        'System.out.print(new String(Files.readAllBytes(Paths.get("/dev/stdin")))); } }',
    ),
    ("lua", "for line in io.lines('/dev/stdin') do print(line) end"),
    ("r", 'cat(scan("/dev/stdin", quiet = TRUE), "\\n", sep = "")'),
    ("ocaml", 'let () = print_endline (input_line (open_in "/dev/stdin"))'),
    ("fortran", "program p\ninteger a\nopen(9, file='/dev/stdin')\nread(9,*) a\nprint '(i0)', a\nend program"),
]


@boxed
@pytest.mark.parametrize(("language", "code"), READING_DEV_STDIN)
def test_dev_stdin_can_be_opened_in_every_language(language, code):
    verdict = judge(fenced(code, language), language)
    assert verdict.correct, verdict


@boxed
@pytest.mark.parametrize(
    "code",
    (
        "import sys,io\nsys.stdin=io.TextIOWrapper(sys.stdin.buffer)\nprint(input())",
        "import sys\ninput=sys.stdin.readline\nprint(input().strip())",
        "import sys,io\nsys.stdin=io.StringIO(sys.stdin.read())\nprint(input())",
        "import sys,io,os\nsys.stdin=io.BytesIO(os.read(0,100))\nprint(int(sys.stdin.readline()))",
        "import sys,io,os\ninput=io.BytesIO(os.read(0,os.fstat(0).st_size)).readline\nprint(int(input()))",
        "import sys\nsys.stdin=open(0)\nprint(input())",
        "import sys,codecs\nsys.stdin=codecs.getreader('utf8')(sys.stdin.buffer)\nprint(int(sys.stdin.readline()))",
        "import sys\nsys.stdin=sys.stdin.detach()\nprint(int(sys.stdin.readline()))",
        "import sys,io\nsys.stdout=io.TextIOWrapper(sys.stdout.buffer,encoding='utf-8')\nprint(input())",
        "import sys,io\nsys.stdout=io.TextIOWrapper(sys.stdout.detach(),encoding='utf-8')\nprint(input())",
        "import sys\nsys.stdout=open(1,'w',closefd=False)\nprint(input())",
        "import sys,os\nsys.stdout=os.fdopen(1,'w')\nprint(input())",
        "import sys\nsys.stdout.write(input());sys.stdout.flush();sys.stdout.close()",
        "import sys\nprint(input());sys.stdout.close();sys.stderr.close()",
        "import sys,io\nsys.stdout=io.StringIO();print(input());sys.__stdout__.write(sys.stdout.getvalue())",
        "import sys,io\no=sys.stdout\nsys.stdout=b=io.StringIO()\nprint(input())\nsys.stdout=o\nprint(b.getvalue(),end='')",
        "import contextlib,io\nb=io.StringIO()\nwith contextlib.redirect_stdout(b):\n    print(input())\nprint(b.getvalue().strip())",
        "import sys,os\nos.write(1,sys.stdin.buffer.read())",
        "import sys,io\nclass W(io.TextIOBase):\n    def write(self,s): sys.__stdout__.write(s)\nsys.stdout=W()\nprint(input())",
        "import sys\nsys.stdout=sys.stderr\nsys.__stdout__.write(input())",
        "import sys\nsys.stdin.close() if not print(input()) else 0",
        "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.readline())",
        "import sys\nsys.stdout.reconfigure(line_buffering=False)\nprint(input())",
        "import fileinput\nfor l in fileinput.input(): print(l.strip())",
        "import sys\nx=sys.stdin\nsys.stdin=None\nprint(x.readline().strip())",
        "import sys,io\n_o=io.StringIO()\nprint2=lambda *a:print(*a,file=_o)\nprint2(input())\nsys.stdout.write(_o.getvalue())",
        "import sys\nsys.stdin=sys.__stdin__\nprint(input())",
        "import sys,atexit,io\no=io.StringIO()\nsys.stdout=o\natexit.register(lambda: sys.__stdout__.write(o.getvalue()))\nprint(input())",
        "import sys\nfrom io import BytesIO,IOBase\nimport os\nclass F(IOBase):\n    def __init__(s,f):\n        s._fd=f.fileno();s.buffer=BytesIO()\n        s.write=s.buffer.write\n    def flush(s):\n        os.write(s._fd,s.buffer.getvalue());s.buffer.truncate(0),s.buffer.seek(0)\nclass W(IOBase):\n    def __init__(s,f):\n        s.buffer=F(f);s.flush=s.buffer.flush\n        s.write=lambda x:s.buffer.write(x.encode())\nsys.stdout=W(sys.stdout)\nprint(input())",
    ),
)
def test_a_program_may_put_others_in_the_place_of_its_streams(code):
    verdict = judge(code)
    assert verdict.correct, verdict


@boxed
def test_what_is_printed_to_a_closed_stream_is_lost():
    assert judge("import sys\nsys.stdout.close()\nprint(input())").outcome == "crash"


JAVA = (
    "public class Solution { public static void main(String[] a){ System.out.println(new java.util.Scanner(System.in).nextInt()); } }",
    "class Foo { public static void main(String[] a){ System.out.println(new java.util.Scanner(System.in).nextInt()); } }",
    "import java.util.*;\nclass Node { int v; }\npublic class Sol { static class In { }\n public static void main(String... a) throws Exception { Scanner s = new Scanner(System.in); System.out.println(s.nextInt()); } }\nclass Z {}",
    "package x.y;\npublic class Q { public static void main(String[] a){ System.out.println(new java.util.Scanner(System.in).nextInt()); } }",
    'public class Main { public static void main(String[] a){ String s = "class X { void main( "; System.out.println(new java.util.Scanner(System.in).nextInt()); } }',
    "// public class Foo\npublic final class Bar { public static void main(final String[] a){ System.out.println(new java.util.Scanner(System.in).nextInt()); } }",
    "public class P { static void f(int n,int m){ if(n>0) f(n-1,m); } public static void main(String[] a){ f(100000,0); System.out.println(new java.util.Scanner(System.in).nextInt()); } }",
    "interface I { int f(); } record R(int x) {} public class T { public static void main(String[] args){ System.out.println(new java.util.Scanner(System.in).nextInt()); } }",
)


@boxed
@pytest.mark.parametrize("code", JAVA)
def test_java_classes_of_any_name(code):
    verdict = judge(code, "java")
    assert verdict.correct, verdict


@pytest.mark.parametrize(
    ("code", "file", "entry"),
    [
        ("public class Solution { public static void main(String[] a) {} }", "Solution.java", "Solution"),
        ("class Foo { public static void main(String[] a) {} }", "Main.java", "Foo"),
        ("class B { static class N { } void f() { } public static void main(String[] a) {} }", "Main.java", "B"),
        ("package x.y; public class Q { public static void main(String[] a) {} }", "Q.java", "x.y.Q"),
        (
            '// public class Foo\nclass Bar { static void main(String[] a) { String s = "public class Z {"; } }',
            "Main.java",
            "Bar",
        ),
        ("public class Only { }", "Only.java", "Only"),
        ("int x;", "Main.java", "Main"),
        ("}}{{ class", "Main.java", "Main"),
    ],
)
def test_what_a_java_program_is_called(code, file, entry):
    assert java.names(code) == (file, entry)


@boxed
@pytest.mark.parametrize(
    "code",
    (
        "#include <bits/stdc++.h>\nusing namespace std;\nint main(){int x;cin>>x;auto v=views::iota(0,x+1);cout<<*ranges::max_element(v)<<endl;}",
        "#include <iostream>\n#include <concepts>\ntemplate<std::integral T> T f(T x){return x;}\nint main(){int x;std::cin>>x;std::cout<<f(x)<<'\\n';}",
        "#include <iostream>\nint main(){int concept=0;std::cin>>concept;std::cout<<concept<<'\\n';}",
        "#include <iostream>\n#include <compare>\nstruct A{int x;auto operator<=>(const A&)const=default;};\nint main(){int x;std::cin>>x;std::cout<<(A{x}==A{x}?x:0)<<'\\n';}",
        "#include <iostream>\n#include <thread>\n#include <vector>\nint main(){int x;std::cin>>x;std::vector<std::thread> t;for(int i=0;i<4;i++)t.emplace_back([]{});for(auto&a:t)a.join();std::cout<<x<<'\\n';}",
    ),
)
def test_cpp_of_2020_and_of_2017(code):
    verdict = judge(code, "cpp")
    assert verdict.correct, verdict


@boxed
@pytest.mark.parametrize(
    ("language", "code", "said"),
    [
        ("cpp", "#include <iostream>\nint main(){ return undeclared; }", "error: ‘undeclared’ was not declared"),
        ("java", 'class A { void f() { int x = "a"; } }', "error: incompatible types"),
        ("rust", 'fn main() { let x: i32 = "a"; }', "error[E0308]: mismatched types"),
        ("c", "int main(void) { return undeclared; }", "undeclared"),
    ],
)
def test_the_feedback_is_what_the_compiler_complains_of(language, code, said):
    verdict = judge(code, language)
    assert verdict.outcome == "malformed" and said in verdict.feedback, verdict


DEEP = [
    (
        "c",
        "#include <stdio.h>\nint f(int n,volatile char*p){volatile char b[64];b[0]=p[0];if(!n)return 0;int r=f(n-1,b);return r+b[0];}\n"
        'int main(void){int x;volatile char z[1]={0};scanf("%d",&x);printf("%d\\n",f(400000,z)+x);}',
    ),
    (
        "rust",
        "fn f(n:u64)->u64{let b=[n;8];if n==0{0}else{f(n-1)+std::hint::black_box(b)[0]}}\nfn main(){let _=f(300000);"
        'print!("{}", std::io::read_to_string(std::io::stdin()).unwrap());}',
    ),
    (
        "javascript",
        "function f(n) { return n ? f(n - 1) + 1 : 0; }\nconsole.log(f(100000) - 100000 + +require('fs').readFileSync(0))",
    ),
    (
        "java",
        "class P { static int f(int n) { return n > 0 ? f(n - 1) + 1 : 0; } public static void main(String[] a) {"
        "System.out.println(f(300000) - 300000 + new java.util.Scanner(System.in).nextInt()); } }",
    ),
    (
        "python",
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and f(n - 1) + 1\nprint(f(100000) * 0 + int(input()))",
    ),
]


@boxed
@pytest.mark.parametrize(("language", "code"), DEEP)
def test_a_deep_recursion_has_its_stack(language, code):
    verdict = judge(code, language)
    assert verdict.correct, verdict


@boxed
def test_a_task_may_ask_for_more_stack():
    deep = DEEP[0][1].replace("b[64]", "b[1000]")
    assert judge(deep, "c").outcome == "crash"
    assert judge(deep, "c", stack_mb=700, memory_mb=1024).correct


@boxed
@pytest.mark.skipif(BELOW, reason=REASON)
def test_numpy_is_there_and_other_packages_where_a_task_names_them():
    pytest.importorskip("numpy")
    assert judge("import sys, numpy as np\nprint(int(np.array([int(input())]).sum()))").correct
    assert judge(fenced("import numpy as np\ndef total(a): return int(np.sum(a))"), **TOTAL).correct
    pytest.importorskip("sympy")
    program = "import sympy\nprint(sympy.Integer(int(input())))"
    assert judge(program).outcome == "crash"
    assert judge(program, packages=["sympy"], memory_mb=1024, time_limit_s=30).correct
    with pytest.raises(UserError, match="'nowhere_to_be_found' is not installed"):
        judge("import nowhere_to_be_found", packages=["nowhere_to_be_found"])
    # Nothing else of where they are installed is seen.
    assert judge("import numpy\ntry:\n    import reasoning_gym\nexcept ImportError:\n    print(input())").correct


@boxed
def test_an_output_as_long_as_the_expected_one_is_no_overrun():
    text = "x" * 2_000_000
    assert judge("print('x' * 2_000_000)", tests=[{"stdin": "", "stdout": text}]).correct
    assert judge("head -c 2000000 /dev/zero | tr '\\0' x", "bash", tests=[{"stdin": "", "stdout": text}]).correct
    assert judge("print('x' * 5_000_000)", tests=[{"stdin": "", "stdout": text}]).outcome == "limit"
    numbers = {"function": {"name": "f"}, "tests": [{"args": [400_000], "returns": list(range(400_000))}]}
    assert judge("def f(n): return list(range(n))", **numbers).correct


@boxed
@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("def f(x):\n    if x < 0: raise ValueError('no')\n    return x", "correct"),
        ("class E(ValueError): pass\ndef f(x):\n    if x < 0: raise E\n    return x", "correct"),
        ("def f(x): return x", "wrong"),
        ("def f(x):\n    if x < 0: raise TypeError\n    return x", "wrong"),
        ("def f(x):\n    if x < 0: return {'$raised': ['ValueError']}\n    return x", "wrong"),
        ("import os\ndef f(x):\n    if x < 0: os._exit(1)\n    return x", "crash"),
        ("def f(x):\n    if x < 0: exit(1)\n    return x", "crash"),
        ("def f(x): raise ValueError", "crash"),
    ],
)
def test_a_function_that_must_raise(code, outcome):
    cases = {"function": {"name": "f"}, "tests": [{"args": [1], "returns": 1}, {"args": [-1], "raises": "ValueError"}]}
    assert judge(code, **cases).outcome == outcome


@boxed
@pytest.mark.parametrize(
    "code",
    ["function f(x) { if (x < 0) throw new RangeError('no'); return x; }"]
    + ["class Solution { f(x) { if (x < 0) throw new RangeError(); return x; } }"]
    + ["module.exports = { f: (x) => { if (x < 0) throw new RangeError(); return x; } };"],
)
def test_functions_of_javascript(code):
    cases = {"function": {"name": "f"}, "tests": [{"args": [1], "returns": 1}, {"args": [-1], "raises": "RangeError"}]}
    assert judge(code, "javascript", **cases).correct
    assert not judge(code.replace("RangeError", "TypeError"), "javascript", **cases).correct


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"stack_mb": 0}, "'stack_mb'"),
        ({"packages": "numpy"}, "list of names"),
        ({"packages": ["a b"]}, "list of names"),
        ({"packages": ["numpy"], "language": "c"}, "does nothing for c"),
        ({"function": {"name": "f"}, "tests": [{"args": [], "raises": "E", "returns": 1}]}, "without 'returns'"),
        ({"function": {"name": "f"}, "tests": [{"args": [], "raises": 3}]}, "name of an exception"),
    ],
)
def test_fields_that_say_nothing_are_refused(data, said):
    with pytest.raises(UserError, match=said):
        problem_of({"language": "python", "tests": ECHOED, **data})


@boxed
@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("<answer>\n```python\nprint(input())\n```\n</answer>", True),
        ("So:\n<answer>print(input())</answer>", True),
        ("```python\nprint(1)\n```\n<answer>\n```python\nprint(input())\n```\n</answer>", True),
        ("<answer>```python\nprint(1)\n```</answer>", False),
        ("```python\ntext = '<answer>'\nprint(input())\n```", True),
    ],
)
def test_an_answer_tag_around_the_code(response, right):
    assert judge(response, tests=[{"stdin": "3\n", "stdout": "3\n"}]).correct == right


@boxed
def test_an_integer_of_as_many_digits_as_python_reads():
    def returns(text):
        return judge(fenced(f"def f(n): return {text}"), function={"name": "f"}, tests=[{"args": [1], "returns": 10**4200}])

    assert returns("10**4200").correct and not returns("10**4200 + 1").correct and not returns("10**5000").correct
    with pytest.raises(UserError, match="whole number"):
        comparing.pack(1 << 14_281)
    assert comparing.pack((1 << 14_281) - 1) > 0
