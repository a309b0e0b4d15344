/*
 * mailgate: an extension module whose C threads decide by the very limiter that Python has.
 *
 * A relay in C, loaded into a Python process, must not send more than Python and itself are allowed together. To link
 * libtollbar would not do: a second copy of the library has limiters of its own. So it asks the copy that Python imported for
 * its functions, which come as a table in a capsule, and for a handle to the limiter, which is a number:
 *
 *     api = PyCapsule_Import("tollbar._tollbar.c_api", 0);      the table: struct tollbar_api, include/tollbar.h
 *     tollbar.c_handle(limiter)                                 the number: struct tollbar_limiter
 *
 * Nothing is linked, so the one thing to compile with is the header:
 *
 *     cc -O2 -shared -fPIC -pthread -Iinclude $(python3-config --includes) examples/extension/mailgate.c \
 *        -o mailgate$(python3-config --extension-suffix)
 *
 * `python -m examples.extension` does that, and lets both sides spend one budget.
 *
 *     gate = mailgate.attach(limiter)              a tollbar.Limiter or tollbar.RateLimiter
 *     mailgate.relay(gate, keys, threads=4)        asks for each key once, in so many threads of C: how many were allowed
 *     mailgate.wait(gate, key)                     waits its turn, in one line with Python's tasks and threads
 *     mailgate.detach(gate)                        gives the handle back; so does the gate's end
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>

#include "tollbar.h"

#define MOST_THREADS 64

static const struct tollbar_api *api;

/* The table of the tollbar that this process has imported, if this program was compiled for it. */
static int find_api(void)
{
    api = PyCapsule_Import("tollbar._tollbar.c_api", 0);
    if (api == NULL)
        return -1;
    if (api->abi != TOLLBAR_ABI_VERSION || api->size < sizeof *api) {
        PyErr_Format(PyExc_ImportError, "mailgate was compiled for ABI version %d of tollbar, this is %u of %zu bytes",
                     TOLLBAR_ABI_VERSION, (unsigned)api->abi, api->size);
        return -1;
    }
    return 0;
}

static PyObject *refused(int32_t status)
{
    return PyErr_Format(PyExc_RuntimeError, "tollbar: %s", api->status_text(status));
}

/* A gate is a capsule with a handle in it. */
static const char GATE[] = "mailgate.gate";

static struct tollbar_limiter *gate_of(PyObject *gate)
{
    return PyCapsule_GetPointer(gate, GATE);
}

static void end_gate(PyObject *gate)
{
    struct tollbar_limiter *limiter = gate_of(gate);
    if (limiter != NULL) {
        (void)api->limiter_free(*limiter); /* a handle that was freed before is refused, which is fine */
        PyMem_Free(limiter);
    }
}

static PyObject *attach(PyObject *module, PyObject *python_limiter)
{
    (void)module;
    PyObject *tollbar = PyImport_ImportModule("tollbar");
    if (tollbar == NULL)
        return NULL;
    PyObject *number = PyObject_CallMethod(tollbar, "c_handle", "O", python_limiter);
    Py_DECREF(tollbar);
    if (number == NULL)
        return NULL;
    struct tollbar_limiter limiter = {PyLong_AsUnsignedLongLong(number)};
    Py_DECREF(number);
    if (PyErr_Occurred())
        return NULL;
    struct tollbar_limiter *kept = PyMem_Malloc(sizeof *kept);
    if (kept == NULL) {
        (void)api->limiter_free(limiter);
        return PyErr_NoMemory();
    }
    *kept = limiter;
    PyObject *gate = PyCapsule_New(kept, GATE, end_gate);
    if (gate == NULL) {
        (void)api->limiter_free(limiter);
        PyMem_Free(kept);
    }
    return gate;
}

static PyObject *detach(PyObject *module, PyObject *gate)
{
    (void)module;
    struct tollbar_limiter *limiter = gate_of(gate);
    if (limiter == NULL)
        return NULL;
    int32_t status = api->limiter_free(*limiter);
    if (status < 0)
        return refused(status);
    Py_RETURN_NONE;
}

/* What one thread is to do, and what came of it. */
struct share {
    struct tollbar_limiter limiter;
    const struct tollbar_key *keys;
    size_t first, step, count;
    size_t allowed;
    int32_t status;
};

static void *relay_share(void *argument)
{
    struct share *share = argument;
    for (size_t i = share->first; i < share->count; i += share->step) {
        int32_t answer = api->try_acquire(share->limiter, share->keys[i].data, share->keys[i].len, 1);
        if (answer < 0) {
            share->status = answer;
            break;
        }
        share->allowed += (size_t)answer; /* here the mail would go out */
    }
    return NULL;
}

/* The shares, each in a thread of its own. False if a thread could not be made. */
static int relay_all(struct share *shares, size_t threads)
{
    pthread_t made[MOST_THREADS];
    size_t running = 0;
    while (running < threads && pthread_create(&made[running], NULL, relay_share, &shares[running]) == 0)
        running++;
    for (size_t i = 0; i < running; i++)
        pthread_join(made[i], NULL);
    return running == threads;
}

static PyObject *relay(PyObject *module, PyObject *args, PyObject *named)
{
    (void)module;
    static char *names[] = {"gate", "keys", "threads", NULL};
    PyObject *gate, *given;
    Py_ssize_t threads = 4;
    if (!PyArg_ParseTupleAndKeywords(args, named, "OO|n:relay", names, &gate, &given, &threads))
        return NULL;
    struct tollbar_limiter *limiter = gate_of(gate);
    if (limiter == NULL)
        return NULL;
    if (threads < 1 || threads > MOST_THREADS)
        return PyErr_Format(PyExc_ValueError, "threads must be from 1 to %d, not %zd", MOST_THREADS, threads);

    /* The tuple keeps the keys, and so the bytes that are pointed at, whatever others do to the caller's list. */
    PyObject *tuple = PySequence_Tuple(given);
    if (tuple == NULL)
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(tuple);
    struct tollbar_key *keys = PyMem_Calloc((size_t)count + 1, sizeof *keys);
    if (keys == NULL) {
        Py_DECREF(tuple);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t len = 0;
        keys[i].data = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(tuple, i), &len);
        keys[i].len = (size_t)len;
        if (keys[i].data == NULL) {
            PyMem_Free(keys);
            Py_DECREF(tuple);
            return NULL;
        }
    }

    struct share shares[MOST_THREADS];
    for (Py_ssize_t i = 0; i < threads; i++)
        shares[i] = (struct share){*limiter, keys, (size_t)i, (size_t)threads, (size_t)count, 0, TOLLBAR_OK};
    int all_ran;
    Py_BEGIN_ALLOW_THREADS /* from here on Python decides, too */
    all_ran = relay_all(shares, (size_t)threads);
    Py_END_ALLOW_THREADS
    PyMem_Free(keys);
    Py_DECREF(tuple);
    if (!all_ran)
        return PyErr_Format(PyExc_OSError, "the system gave fewer than %zd threads", threads);

    size_t allowed = 0;
    for (Py_ssize_t i = 0; i < threads; i++) {
        if (shares[i].status < 0)
            return refused(shares[i].status);
        allowed += shares[i].allowed;
    }
    return PyLong_FromSize_t(allowed);
}

static PyObject *wait_turn(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *gate;
    const char *key;
    Py_ssize_t key_len;
    if (!PyArg_ParseTuple(args, "Os#:wait", &gate, &key, &key_len))
        return NULL;
    struct tollbar_limiter *limiter = gate_of(gate);
    if (limiter == NULL)
        return NULL;
    struct tollbar_limiter by = *limiter;
    int32_t answer;
    /* Whoever is before it in the line may need the interpreter to go on. */
    Py_BEGIN_ALLOW_THREADS
    answer = api->acquire(by, key, (size_t)key_len, NULL, 0, NULL, 0);
    Py_END_ALLOW_THREADS
    return answer < 0 ? refused(answer) : PyBool_FromLong(answer);
}

static PyMethodDef functions[] = {
    {"attach", attach, METH_O, "attach(limiter): a gate to the limiter."},
    {"detach", detach, METH_O, "detach(gate): gives the limiter back."},
    {"relay", (PyCFunction)(void (*)(void))relay, METH_VARARGS | METH_KEYWORDS,
     "relay(gate, keys, threads=4): asks for each key once, in threads of C; how many were allowed."},
    {"wait", wait_turn, METH_VARARGS, "wait(gate, key): waits until it is allowed; False if that can never be."},
    {NULL, NULL, 0, NULL},
};

static int start(PyObject *module)
{
    (void)module;
    return find_api();
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, start},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "mailgate", "A relay in C under a limiter of Python's.", 0, functions, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_mailgate(void)
{
    return PyModuleDef_Init(&definition);
}
