"""The notebook's functions in NumPy, training built on them, and the legacy initialisations.

Deliberately naive: no speed, no guards the notebook has not. Each function returns its outputs by name, as a fixture
case does; a cache is {A_prev, W, b, Z}. Shapes: W is (n, n_prev), b (n, 1), A_prev (n_prev, m), Z and A (n, m). dA
carries no 1/m, dW and db do.
"""

import numpy as np


def sigmoid(Z):
    with np.errstate(over="ignore"):  # exp(800) is inf, and 1/(1 + inf) the right answer
        return {"A": 1 / (1 + np.exp(-Z))}


def relu(Z):
    return {"A": np.maximum(0, Z)}


def sigmoid_backward(dA, Z):
    s = sigmoid(Z)["A"]
    return {"dZ": dA * s * (1 - s)}


def relu_backward(dA, Z):
    return {"dZ": np.where(Z > 0, dA, 0.0)}


FORWARD = {"sigmoid": sigmoid, "relu": relu}
BACKWARD = {"sigmoid": sigmoid_backward, "relu": relu_backward}


def linear_forward(A, W, b):
    return {"Z": np.dot(W, A) + b}


def linear_activation_forward(A_prev, W, b, activation):
    Z = linear_forward(A_prev, W, b)["Z"]
    return {**FORWARD[activation](Z), "Z": Z}


def L_model_forward(X, parameters):
    A, caches, layers = X, [], len(parameters) // 2
    for l in range(1, layers + 1):
        W, b = parameters[f"W{l}"], parameters[f"b{l}"]
        layer = linear_activation_forward(A, W, b, "sigmoid" if l == layers else "relu")
        caches.append({"A_prev": A, "W": W, "b": b, "Z": layer["Z"]})
        A = layer["A"]
    return {"AL": A, "caches": caches, "caches_len": layers}


def compute_cost(AL, Y):
    return {"cost": -np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)) / Y.shape[1]}


def linear_backward(dZ, A_prev, W, b):
    m = A_prev.shape[1]
    return {"dA_prev": np.dot(W.T, dZ), "dW": np.dot(dZ, A_prev.T) / m, "db": np.sum(dZ, axis=1, keepdims=True) / m}


def linear_activation_backward(dA, A_prev, W, b, Z, activation):
    dZ = BACKWARD[activation](dA, Z)["dZ"]
    return {**linear_backward(dZ, A_prev, W, b), "dZ": dZ}


def L_model_backward(AL, Y, caches, gradient_names="notebook"):
    """The gradient of layer l's input is dA<l> in the notebook's naming, dA<l-1> in the mathematical one."""
    grads, dA = {}, -(np.divide(Y, AL) - np.divide(1 - Y, 1 - AL))
    for l in range(len(caches), 0, -1):
        layer = linear_activation_backward(dA, **caches[l - 1], activation="sigmoid" if l == len(caches) else "relu")
        dA = layer["dA_prev"]
        grads[f"dW{l}"], grads[f"db{l}"] = layer["dW"], layer["db"]
        grads[f"dA{l if gradient_names == 'notebook' else l - 1}"] = dA
    return grads


def update_parameters(parameters, grads, learning_rate):
    return {name: value - learning_rate * grads["d" + name] for name, value in parameters.items()}


def initialize_parameters(layer_dims, seed, init):
    """W1, W2, ... come row by row from one legacy generator; b is 0."""
    random, parameters = np.random.RandomState(seed), {}
    for l, (n_prev, n) in enumerate(zip(layer_dims, layer_dims[1:]), start=1):
        if init["kind"] == "zeros":
            W = np.zeros((n, n_prev))
        elif init["scale"] == "1/sqrt(n_prev)":
            W = random.randn(n, n_prev) / np.sqrt(n_prev)
        elif init["scale"] == "sqrt(2/n_prev)":
            W = random.randn(n, n_prev) * np.sqrt(2 / n_prev)
        else:
            W = random.randn(n, n_prev) * init["scale"]
        parameters[f"W{l}"], parameters[f"b{l}"] = W, np.zeros((n, 1))
    return parameters


def train(X, Y, layer_dims, seed, init, learning_rate, num_iterations):
    """Full-batch gradient descent; yields the cost before each update, the caches, the parameters after it."""
    parameters = initialize_parameters(layer_dims, seed, init)
    for _ in range(num_iterations):
        AL, caches, _ = L_model_forward(X, parameters).values()
        cost = compute_cost(AL, Y)["cost"]
        parameters = update_parameters(parameters, L_model_backward(AL, Y, caches), learning_rate)
        yield cost, caches, parameters


def L_layer_model(**inputs):
    costs, _, parameters = zip(*train(**inputs))
    return {"parameters": parameters[-1], "costs": costs}


def predict(X, parameters):
    AL = L_model_forward(X, parameters)["AL"]
    return {"probabilities": AL, "predictions": (AL > 0.5).astype(int)}


FUNCTIONS = {f.__name__: f for f in (
    sigmoid, relu, sigmoid_backward, relu_backward, linear_forward, linear_activation_forward, L_model_forward,
    compute_cost, linear_backward, linear_activation_backward, L_model_backward, update_parameters,
    initialize_parameters, L_layer_model, predict)}
FUNCTIONS |= {"initialize_parameters_deep": initialize_parameters, "two_layer_model": L_layer_model}
